//! From a token's claims to the data plane. A claim only chooses among the configured regions: no
//! request, and above all no token, goes to a host that the configuration does not name.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::vocabulary::Failure;

/// The claims that matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) region: String,
    pub(super) tenant_id: Option<String>,
}

/// Reads the claims of a token whose signature may have been checked before.
pub(super) fn read_claims(token: &str) -> Result<Claims, Failure> {
    let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|error| {
        Failure::access(format!("read the token's region: {error}"))
            .hint("the auth host gave a token that is no JWT: check auth_url")
    })?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let region = text("region").ok_or_else(|| {
        Failure::access("read the token's region: the token has no region claim")
            .hint("check auth_url: the tenant's tokens carry the claim `region`")
    })?;
    Ok(Claims { region, tenant_id: text("tenantId") })
}

/// The data plane of a region.
pub(super) fn data_plane<'a>(region: &str, regions: &'a BTreeMap<String, String>) -> Result<&'a str, Failure> {
    regions.get(region).map(String::as_str).ok_or_else(|| {
        let known: Vec<&str> = regions.keys().map(String::as_str).collect();
        Failure::access(format!("find the data plane: the token's region {region:?} is not configured"))
            .hint(format!("configured are: {}; add it to [tenants.….regions] if it is right", known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_only_chooses_among_those_configured() {
        let regions = BTreeMap::from([("na1".to_owned(), "https://na1.nicecxone.com".to_owned())]);
        assert_eq!(data_plane("na1", &regions).unwrap(), "https://na1.nicecxone.com");
        for hostile in ["NA1", "na1 ", "evil.example/#", "na1.nicecxone.com@evil.example", "../na1", "", "nа1"] {
            let failure = data_plane(hostile, &regions).unwrap_err();
            assert_eq!(failure.kind.exit_code(), 3, "{hostile}");
            assert!(failure.message.contains(&format!("{hostile:?}")));
        }
    }

    #[test]
    fn a_token_that_is_no_jwt_is_refused() {
        for token in ["", "opaque", "a.b.c"] {
            assert_eq!(read_claims(token).unwrap_err().kind.exit_code(), 3);
        }
    }
}
