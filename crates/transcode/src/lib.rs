//! google.api.http transcoder as a tower Service, driven by descriptors alone
