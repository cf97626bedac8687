//! One stream of questions and answers with the reflection service of a server.

use http::uri::PathAndQuery;
use http::{Request, Response};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tower::{Service, ServiceExt as _};

use super::Error;
use crate::error::BoxError;
use crate::service::status::mended;

/// Both versions have the same messages under different names: the bytes are the same.
const VERSIONS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// A file to ask for.
pub(super) enum Ask {
    /// By its name.
    File(String),
    /// By what it defines.
    Symbol(String),
}

pub(super) struct Session<S> {
    upstream: S,
    max_message: usize,
    stream: Option<Exchange>,
}

struct Exchange {
    questions: mpsc::Sender<ServerReflectionRequest>,
    answers: Streaming<ServerReflectionResponse>,
}

impl<S> Session<S>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    pub(super) fn new(upstream: S, max_message: usize) -> Self {
        Self { upstream, max_message, stream: None }
    }

    /// The full names of the services that the server lists.
    pub(super) async fn services(&mut self) -> Result<Vec<String>, Error> {
        let what = "the list of services";
        match self.ask(what, MessageRequest::ListServices(String::new())).await? {
            MessageResponse::ListServicesResponse(list) => {
                Ok(list.service.into_iter().map(|service| service.name).collect())
            }
            _ => Err(Error::NoAnswer { what: what.to_owned() }),
        }
    }

    /// The files that the server sends for a question, encoded: the one asked for, and perhaps what it imports.
    pub(super) async fn files(&mut self, what: &str, ask: Ask) -> Result<Vec<Vec<u8>>, Error> {
        let question = match ask {
            Ask::File(name) => MessageRequest::FileByFilename(name),
            Ask::Symbol(name) => MessageRequest::FileContainingSymbol(name),
        };
        match self.ask(what, question).await? {
            MessageResponse::FileDescriptorResponse(files) => Ok(files.file_descriptor_proto),
            _ => Err(Error::NoAnswer { what: what.to_owned() }),
        }
    }

    async fn ask(&mut self, what: &str, question: MessageRequest) -> Result<MessageResponse, Error> {
        let failed = |source: Status| Error::Call { what: what.to_owned(), source: Box::new(source) };
        let question = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        let answer = match &mut self.stream {
            Some(stream) => stream.ask(question).await.map_err(failed)?,
            None => self.begin(what, question).await?,
        };
        match answer.and_then(|answer| answer.message_response) {
            Some(MessageResponse::ErrorResponse(error)) => Err(Error::Refused {
                what: what.to_owned(),
                code: error.error_code,
                message: error.error_message,
            }),
            Some(answer) => Ok(answer),
            None => Err(Error::NoAnswer { what: what.to_owned() }),
        }
    }

    /// Asks the first question, of the first version that the server has.
    async fn begin(
        &mut self,
        what: &str,
        question: ServerReflectionRequest,
    ) -> Result<Option<ServerReflectionResponse>, Error> {
        for path in VERSIONS {
            match self.open(path, question.clone()).await {
                Ok((stream, answer)) => {
                    self.stream = Some(stream);
                    return Ok(answer);
                }
                Err(status) if status.code() == Code::Unimplemented => {}
                Err(source) => return Err(Error::Call { what: what.to_owned(), source: Box::new(source) }),
            }
        }
        Err(Error::Unsupported)
    }

    async fn open(
        &self,
        path: &'static str,
        question: ServerReflectionRequest,
    ) -> Result<(Exchange, Option<ServerReflectionResponse>), Status> {
        let upstream = self.upstream.clone().map_response(mended);
        let mut client = tonic::client::Grpc::new(upstream).max_decoding_message_size(self.max_message);
        client.ready().await.map_err(|error| Status::from_error(error.into()))?;
        let (questions, asked) = mpsc::channel(1);
        // Some servers answer nothing, not even headers, before the first question: it is there when the call begins.
        questions.try_send(question).map_err(|_| Status::internal("no room for a question"))?;
        let request = tonic::Request::new(ReceiverStream::new(asked));
        let codec = ProstCodec::<ServerReflectionRequest, ServerReflectionResponse>::default();
        let answers = client.streaming(request, PathAndQuery::from_static(path), codec).await?.into_inner();
        let mut stream = Exchange { questions, answers };
        let answer = stream.answers.message().await?;
        Ok((stream, answer))
    }
}

impl Exchange {
    async fn ask(
        &mut self,
        question: ServerReflectionRequest,
    ) -> Result<Option<ServerReflectionResponse>, Status> {
        // A stream that the server has ended takes no question; its status tells why.
        let _ = self.questions.send(question).await;
        self.answers.message().await
    }
}
