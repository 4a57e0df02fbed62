//! Identities of GCP's and Azure's machines, pods and applications: who has one needs no secret.

use std::process::Command;

use crate::support::{Certificate, Helper, Lab, Outcome, StoreServer, tenant};

const RUN: [&str; 3] = ["run", "--date", "2024-01-01"];

/// A lab whose lake is on a server, on a machine that knows nobody.
struct Machine {
    lab: Lab,
    _server: StoreServer,
    agent: Helper,
}

impl Machine {
    async fn new(server: StoreServer) -> Self {
        let lab = Lab::on_store(tenant(100), server.url(), &server.configuration(server.port())).await;
        Self { lab, _server: server, agent: Helper::start("machine_identity.py") }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.agent.port())
    }

    /// Runs a day, which is another each time.
    fn run(&self, variables: &[(&str, &str)]) -> Outcome {
        self.lab.simulator.change(|tenant| tenant.seed += 1);
        let mut command = self.command();
        command.envs(variables.iter().copied());
        Outcome::of(command)
    }

    fn command(&self) -> Command {
        let mut command = self.lab.command(&RUN);
        command.env("HOME", self.lab.folder()).env_remove("GOOGLE_APPLICATION_CREDENTIALS");
        command
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gcp_vouches_for_its_machines_and_pods() {
    let machine = Machine::new(StoreServer::gcs_with_identities("of-the-machine")).await;
    let metadata = format!("127.0.0.1:{}", machine.agent.port());
    let outcome = machine.run(&[("GCE_METADATA_HOST", &metadata)]).expect(0);
    assert_eq!(outcome.statuses(), ["committed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn gcp_takes_application_default_credentials() {
    let server = StoreServer::gcs();
    let key = server.location(&[]).options.remove("service_account_key").unwrap();
    let options = format!("[lake.options]\nbase_url = \"http://127.0.0.1:{}\"\nallow_http = true\n", server.port());
    let lab = Lab::on_store(tenant(100), server.url(), &options).await;
    let file = lab.folder().join("account.json");
    std::fs::write(&file, key).unwrap();
    let mut command = lab.command(&RUN);
    command.env("GOOGLE_APPLICATION_CREDENTIALS", &file);
    assert_eq!(Outcome::of(command).expect(0).statuses(), ["committed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_vouches_for_its_machines_pods_and_applications() {
    let certificate = Certificate::new();
    let machine = Machine::new(StoreServer::azure_with_identities(&certificate)).await;
    let token = machine.lab.folder().join("federated-token");
    std::fs::write(&token, "a.pod's.token").unwrap();
    let (authority, imds, app) =
        (machine.url("/"), machine.url("/metadata/identity/oauth2/token"), machine.url("/msi/token"));
    let of_an_application = [
        ("AZURE_CLIENT_ID", "loader"),
        ("AZURE_TENANT_ID", "acme"),
        ("AZURE_AUTHORITY_HOST", authority.as_str()),
        ("AZURE_CLIENT_SECRET", "the secret"),
    ];
    // As Azure's webhook for Kubernetes sets them.
    let of_a_pod = [&of_an_application[..3], &[("AZURE_FEDERATED_TOKEN_FILE", token.to_str().unwrap())]].concat();
    let of_a_machine = [("AZURE_MSI_ENDPOINT", imds.as_str())];
    let of_app_service = [("IDENTITY_ENDPOINT", app.as_str()), ("IDENTITY_HEADER", "the app's")];
    for variables in [&of_an_application[..], &of_a_pod, &of_a_machine, &of_app_service] {
        assert_eq!(machine.run(variables).expect(0).statuses(), ["committed"], "{variables:?}");
    }
    let wrong = [&of_an_application[..3], &[("AZURE_CLIENT_SECRET", "another")]].concat();
    let message = machine.run(&wrong).expect(5).message();
    assert!(message.contains("invalid_client"), "{message}");
}
