//! Names into addresses, private ones refused: a name of the tenant's must not lead into our own
//! network (OWASP, server-side request forgery).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::vocabulary::is_private;

/// Refuses private addresses of a tenant's hosts, except for `localhost`, unless they are allowed. Any other name is that
/// of a proxy, which whoever runs this has chosen.
#[derive(Clone, Debug)]
pub(super) struct GuardedResolver {
    /// The tenant's hosts.
    pub(super) guarded: BTreeSet<String>,
    pub(super) allow_private: bool,
}

impl GuardedResolver {
    fn guards(&self, name: &str) -> bool {
        !self.allow_private && name != "localhost" && self.guarded.contains(name)
    }
}

/// A name leads to a private address.
#[derive(Debug, thiserror::Error)]
#[error("the host {0:?} has a private address")]
pub(super) struct PrivateAddress(String);

fn usable(name: &str, found: &[SocketAddr], allow_private: bool) -> Result<Vec<SocketAddr>, PrivateAddress> {
    let public = found.iter().copied().filter(|address| allow_private || !is_private(address.ip()));
    let usable: Vec<SocketAddr> = public.collect();
    if usable.is_empty() && !found.is_empty() { Err(PrivateAddress(name.to_owned())) } else { Ok(usable) }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = !self.guards(name.as_str());
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let addresses: Addrs = Box::new(usable(name.as_str(), &found, allow_private)?.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_into_our_own_network_is_refused() {
        let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let (public, metadata) = (address("8.8.8.8:0"), address("169.254.169.254:0"));
        assert_eq!(usable("tenant", &[public, metadata], false).unwrap(), [public]);
        assert!(usable("tenant", &[metadata], false).is_err());
        assert_eq!(usable("tenant", &[metadata], true).unwrap(), [metadata]);
        assert!(usable("tenant", &[], false).unwrap().is_empty());
    }

    #[test]
    fn a_proxy_may_be_in_our_own_network() {
        let resolver = |allow_private| {
            let guarded = ["tenant.example", "localhost"].map(str::to_owned);
            GuardedResolver { guarded: BTreeSet::from(guarded), allow_private }
        };
        let check = |name: &str, expected: bool| assert_eq!(resolver(false).guards(name), expected, "{name}");
        check("tenant.example", true);
        check("localhost", false);
        check("proxy.corp", false);
        assert!(!resolver(true).guards("tenant.example"));
    }
}
