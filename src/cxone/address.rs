//! The calls of the API: where they go, what they need, what their refusal means.

/// A call of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Token,
    Keys,
    UsersMe,
    CustomMetrics,
    Quota,
    DataDownload,
}

impl Call {
    /// The path on its host.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Token => "/api/v2/oauth/token",
            Self::Keys => "/.well-known/jwks.json",
            Self::UsersMe => "/api/v2/users/me",
            Self::CustomMetrics => "/api/v2/reporting/custom-metrics",
            Self::Quota => "/api/v2/reporting/quota",
            Self::DataDownload => "/api/v2/reporting/data-download",
        }
    }

    /// What the call does, completing "failed to …".
    pub(super) fn purpose(self) -> &'static str {
        match self {
            Self::Token => "get a token",
            Self::Keys => "read the keys that sign tokens",
            Self::UsersMe => "read the tenant's user and time zone",
            Self::CustomMetrics => "read the catalog of custom metrics",
            Self::Quota => "read the quota",
            Self::DataDownload => "read a page of the report",
        }
    }

    /// What the guide requires for the call (its prerequisites).
    pub(super) fn requirements(self) -> &'static str {
        match self {
            Self::Token | Self::Keys => {
                "the permissions \"User Management > API > Create\" and \"User Management > API > Authenticate\""
            }
            Self::UsersMe => "the permission \"User Management > API > Authenticate\"",
            Self::CustomMetrics => {
                "the permission \"Reporting > Custom Metrics > View\", the scope api:custom-metrics:read and the Custom Reporting licence"
            }
            Self::Quota => "the scope api:reporting:read",
            Self::DataDownload => {
                "the permission \"Reporting > Data Download > View\", the scopes api:reporting:read and api:data-download:read, and the Data Download API enabled for the tenant"
            }
        }
    }
}

/// The scopes that the guide asks for.
pub(super) const SCOPES: &str = "api:reporting:read api:data-download:read api:custom-metrics:read";

/// The permissions that the guide asks for.
pub(super) const PERMISSIONS: [&str; 4] = [
    "Reporting > Data Download > View",
    "Reporting > Custom Metrics > View",
    "User Management > API > Create",
    "User Management > API > Authenticate",
];
