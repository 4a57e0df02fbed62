//! From a token's claims to the data plane. A claim only chooses among the configured regions: no
//! request, and above all no token, goes to a host that the configuration does not name.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
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
    let RawClaims(claims) = jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|error| {
        Failure::access(format!("read the token's region: {error}"))
            .hint("the auth host gave a token that is no JWT: check auth_url")
    })?;
    let text = |name: &str| -> Result<Option<String>, Failure> {
        let mut named = claims.iter().filter(|(claim, _)| claim == name).map(|(_, value)| value);
        match (named.next(), named.next()) {
            (_, Some(_)) => Err(Failure::access(format!("read the token's {name}: the claim comes twice"))
                .hint("the auth host gave a token that no one should trust: check auth_url")),
            (value, None) => Ok(value.and_then(Value::as_str).map(str::to_owned)),
        }
    };
    let region = text("region")?.ok_or_else(|| {
        Failure::access("read the token's region: the token has no region claim")
            .hint("check auth_url: the tenant's tokens carry the claim `region`")
    })?;
    Ok(Claims { region, tenant_id: text("tenantId")? })
}

/// All claims as they come, so that one that comes twice is seen.
struct RawClaims(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for RawClaims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = RawClaims;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<RawClaims, A::Error> {
                let mut claims = Vec::new();
                while let Some(claim) = members.next_entry()? {
                    claims.push(claim);
                }
                Ok(RawClaims(claims))
            }
        }

        deserializer.deserialize_map(Members)
    }
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

    proptest::proptest! {
        #[test]
        fn no_other_text_leads_anywhere(region in "(na1)?[ -~а\\n]{0,12}(na1)?") {
            let regions = BTreeMap::from([("na1".to_owned(), "https://na1.nicecxone.com".to_owned())]);
            proptest::prop_assert_eq!(data_plane(&region, &regions).is_ok(), region == "na1");
        }
    }

    #[test]
    fn a_claim_that_comes_twice_is_refused() {
        // {"alg":"none"} . {"region":"na1","region":"eu1"} .
        let token = "eyJhbGciOiJub25lIn0.eyJyZWdpb24iOiJuYTEiLCJyZWdpb24iOiJldTEifQ.AA";
        assert_eq!(read_claims(token).unwrap_err().message, "read the token's region: the claim comes twice");
        // {"region":"na1"}
        let token = "eyJhbGciOiJub25lIn0.eyJyZWdpb24iOiJuYTEifQ.AA";
        assert_eq!(read_claims(token).map(|claims| claims.region), Ok("na1".to_owned()));
    }

    #[test]
    fn a_token_that_is_no_jwt_is_refused() {
        for token in ["", "opaque", "a.b.c"] {
            assert_eq!(read_claims(token).unwrap_err().kind.exit_code(), 3);
        }
    }
}
