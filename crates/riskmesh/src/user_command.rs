//! `riskmesh user`: the users of a tenant, beside a running server or without one.

use crate::admin_socket::AnyChannel;
use crate::cli::{UserCommand, UsersOf};
use crate::config::Config;
use crate::connection::{Connection, told};
use anyhow::{Context as _, ensure};
use api::Spelled;
use api::users::v1::users_service_client::UsersServiceClient;
use api::users::v1::{
    CreateUserRequest, ListUsersRequest, NewUser, PatchUser, SetPasswordRequest, UpdateUserRequest, User,
    UserStatus,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use riskmesh_core::cipher::random_bytes;
use std::io::{BufRead as _, Read as _};
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};

/// Users on one page.
const PAGE: i32 = 1000;
/// The longest first line of standard input that can be a password.
const MAX_LINE: u64 = 1024;

/// Does what a command says.
pub(crate) async fn run(command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Create { name, role, display_name, password_stdin, of } => {
            let password = Password::get(password_stdin)?;
            let user =
                NewUser { user_name: name, display_name, role: role.into(), password: password.text.clone() };
            let created = with(&of, async |mut users| users.create(user).await).await?;
            println!("user id   {}", created.user_id);
            password.show();
            Ok(())
        }
        UserCommand::List { of } => with(&of, async |mut users| users.print().await).await,
        UserCommand::Disable { name, of } => set_status(&of, &name, UserStatus::Disabled).await,
        UserCommand::Enable { name, of } => set_status(&of, &name, UserStatus::Active).await,
        UserCommand::SetPassword { name, password_stdin, of } => {
            let password = Password::get(password_stdin)?;
            let text = password.text.clone();
            with(&of, async |mut users| users.set_password(&name, text).await).await?;
            password.show();
            Ok(())
        }
    }
}

async fn set_status(of: &UsersOf, name: &str, status: UserStatus) -> anyhow::Result<()> {
    with(of, async |mut users| users.set_status(name, status).await).await
}

/// Works with the users of a tenant, and lets go of the data directory in any case.
async fn with<T>(of: &UsersOf, work: impl AsyncFnOnce(Users) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let config = Config::of(&of.data)?;
    let connection = Connection::open(&config, &of.tenant, "user").await?;
    let done = work(Users::of(&connection)).await;
    connection.close().await;
    done
}

/// A password that a user is to have.
struct Password {
    text: String,
    /// Whether it was made up, so that somebody has to be told.
    made: bool,
}

impl Password {
    /// The first line of standard input, or 144 random bits.
    fn get(from_stdin: bool) -> anyhow::Result<Self> {
        if !from_stdin {
            let text = URL_SAFE_NO_PAD.encode(random_bytes::<18>()?);
            return Ok(Self { text, made: true });
        }
        let mut text = String::new();
        let line = std::io::stdin().lock().take(MAX_LINE).read_line(&mut text);
        line.context("read a password from standard input")?;
        let text = text.trim_end_matches(['\n', '\r']).to_owned();
        ensure!(!text.is_empty(), "standard input has no password on its first line");
        Ok(Self { text, made: false })
    }

    /// Shows a password that was made up.
    fn show(&self) {
        if self.made {
            println!("password  {}", self.text);
            eprintln!("riskmesh: the password is shown this once");
        }
    }
}

/// The users of a tenant.
pub(crate) struct Users {
    client: UsersServiceClient<AnyChannel>,
    authorization: MetadataValue<Ascii>,
}

impl Users {
    pub(crate) fn of(connection: &Connection) -> Self {
        Self {
            client: UsersServiceClient::new(connection.channel.clone()),
            authorization: connection.authorization.clone(),
        }
    }

    /// The user of this name, who must not be disabled.
    pub(crate) async fn active(mut self, name: &str) -> anyhow::Result<User> {
        let user = self.find(name).await?;
        ensure!(user.status() == UserStatus::Active, "the user is disabled");
        Ok(user)
    }

    async fn create(&mut self, user: NewUser) -> anyhow::Result<User> {
        let request = self.request(CreateUserRequest { user: Some(user) });
        let answer = self.client.create_user(request).await.map_err(told)?;
        answer.into_inner().user.context("no user in the answer")
    }

    async fn find(&mut self, name: &str) -> anyhow::Result<User> {
        let message = ListUsersRequest { user_name: name.to_owned(), ..ListUsersRequest::default() };
        let request = self.request(message);
        let answer = self.client.list_users(request).await.map_err(told)?;
        let found = answer.into_inner().users.into_iter().find(|user| user.user_name == name);
        found.context("the tenant has no user of this name")
    }

    async fn set_status(&mut self, name: &str, status: UserStatus) -> anyhow::Result<()> {
        let user_id = self.find(name).await?.user_id;
        let patch = PatchUser { user_id, status: status.into(), ..PatchUser::default() };
        let request = self.request(UpdateUserRequest { user: Some(patch), update_mask: None });
        self.client.update_user(request).await.map_err(told)?;
        Ok(())
    }

    async fn set_password(&mut self, name: &str, password: String) -> anyhow::Result<()> {
        let user_id = self.find(name).await?.user_id;
        let request = self.request(SetPasswordRequest { user_id, password });
        self.client.set_password(request).await.map_err(told)?;
        Ok(())
    }

    /// Prints all users, one a line.
    async fn print(&mut self) -> anyhow::Result<()> {
        let mut cursor = String::new();
        loop {
            let request = ListUsersRequest { limit: Some(PAGE), cursor, ..ListUsersRequest::default() };
            let request = self.request(request);
            let answer = self.client.list_users(request).await.map_err(told)?.into_inner();
            for user in &answer.users {
                let User { user_id, user_name, display_name, .. } = user;
                let role = user.role().spelling().unwrap_or_default();
                let status = user.status().spelling().unwrap_or_default();
                println!("{user_id}\t{user_name}\t{role}\t{status}\t{display_name}");
            }
            match answer.page.and_then(|page| page.next_cursor) {
                Some(next) => cursor = next,
                None => return Ok(()),
            }
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }
}
