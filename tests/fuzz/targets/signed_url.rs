//! A forged URL never verifies.
#![no_main]

use holdall::config::{Environment, GatewayConfig, Secrets};
use holdall::gateway::Gateway;
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

fuzz_target!(|input: (&str, &str, Vec<(String, Vec<u8>)>)| {
    static GATEWAY: OnceLock<Gateway> = OnceLock::new();
    let gateway = GATEWAY.get_or_init(|| {
        // Random: no input can have been signed with it.
        let secret = format!("{:?}", std::collections::hash_map::RandomState::new());
        let secret = format!("{secret} {:?}", std::time::Instant::now());
        let config = GatewayConfig::new("https://files.example.org/base").key("1", secret);
        Gateway::new(&config, &Environment::none(), &Secrets::new()).unwrap()
    });
    let (method, url, headers) = input;
    assert!(gateway.verify(method, url, headers).is_err());
});
