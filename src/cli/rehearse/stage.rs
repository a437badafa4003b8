//! The stage of a rehearsal: a stand-in provider, a stand-in receiver that reads a dotenv file, deliveries between the
//! two, and a temporary folder for everything that a real rotation would leave behind.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;
use uuid::Uuid;

use crate::config::{KeySource, Target, TargetStore};
use crate::provider::client::{Client, ClientOptions};
use crate::provider::receiver::Receiver;
use crate::provider::signature::{self, FORM, Scheme, Sent};
use crate::provider::stand_in::{StandIn, StandInOptions};
use crate::provider::{Overlap, Provider};
use crate::secret::{Fingerprint, Secret};
use crate::store::{self, Reference, Slot, SlotNames, Store, Surroundings};
use crate::system::private;

/// How often the stand-in provider delivers.
const DELIVER_EVERY: Duration = Duration::from_millis(400);
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(2);

/// Everything that is made up for one rehearsal; gone when dropped.
pub struct Stage {
    folder: TempDir,
    provider: Arc<Provider>,
    reference: Reference,
    stand_in: Arc<StandIn>,
    /// None where it is not described how the provider signs.
    receiver: Option<Arc<Receiver>>,
    scheme: Option<Scheme>,
    stop: Arc<AtomicBool>,
    traffic: Option<JoinHandle<()>>,
    /// Deliveries that were made to see whether they are refused.
    forged: AtomicU64,
}

impl Stage {
    /// Sets the stage for a provider with its overlap shortened to `window`.
    pub fn set(provider: &Provider, window: Duration) -> anyhow::Result<Self> {
        let mut spec = provider.spec().clone();
        if let Some(settles) = spec.end.as_mut().and_then(|end| end.settles.as_mut()) {
            *settles = format!("{}s", window.as_secs().max(1));
        }
        if matches!(provider.overlap(), Overlap::Fixed(_)) {
            let window = Some(format!("{}s", window.as_secs().max(1)));
            spec.overlap.min = spec.overlap.min.and(window.clone());
            spec.overlap.window = window;
        }
        let provider = Arc::new(Provider::from_spec(spec)?);
        let scheme = Scheme::of(&provider);
        let folder = tempfile::Builder::new().prefix("whsec-rehearsal-").tempdir()?;
        let receiver = scheme.clone().map(|scheme| Receiver::start(scheme, Timestamp::now)).transpose()?.map(Arc::new);
        let api_key = Secret::new(format!("rehearsal:{}", Uuid::new_v4().simple()));
        private::write(&folder.path().join("api-key"), api_key.expose().as_bytes())?;
        let name = provider.name().to_uppercase().replace('-', "_");
        let reference = Reference::parse(&format!("dotenv:receiver.env#{name}_WEBHOOK_SECRET"))?;
        let options = StandInOptions {
            api_key,
            ids: ids(&provider),
            first_secret: None,
            clock: Timestamp::now,
            window: Some(window),
            receiver_url: receiver.as_ref().map(|receiver| receiver.url()),
        };
        let stand_in = Arc::new(StandIn::start(Arc::clone(&provider), options)?);
        let mut stage = Self {
            folder,
            provider,
            reference,
            stand_in,
            receiver,
            scheme,
            stop: Arc::default(),
            traffic: None,
            forged: AtomicU64::new(0),
        };
        if let Some(first) = stage.stand_in.live_secrets().first() {
            stage.store()?.apply(&[(Slot::Current, Some(first))])?;
        }
        stage.reload()?;
        stage.traffic = stage.start_traffic()?;
        Ok(stage)
    }

    /// The folder of this rehearsal.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A config file that keeps the rehearsal away from the keychain.
    pub fn config(&self) -> anyhow::Result<PathBuf> {
        let path = self.folder.path().join("whsec.toml");
        private::write(&path, b"[seal]\nidentity = \"file\"\n")?;
        Ok(path)
    }

    /// The target that is rotated.
    pub fn target(&self) -> anyhow::Result<Target> {
        let endpoint =
            self.provider.endpoint(Some(&self.stand_in.base_url()), &ids(&self.provider), None, &Default::default())?;
        Ok(Target {
            name: "rehearsal".to_owned(),
            cutover: self.provider.default_cutover(),
            endpoint,
            stores: vec![TargetStore { reference: self.reference.clone(), names: SlotNames::default() }],
            surroundings: self.surroundings(),
            receivers: self.receiver.iter().map(|receiver| receiver.url()).collect(),
            may_probe: true,
            stores_from_checkout: false,
            api_key: Some(KeySource::File(self.folder.path().join("api-key"))),
            owner: None,
            labels: Default::default(),
            max_age: None,
            ca: None,
            file: None,
        })
    }

    /// The receiver reads its dotenv file again, as a deploy does. Yields what it accepts from then on.
    pub fn reload(&self) -> anyhow::Result<Vec<Fingerprint>> {
        let store = self.store()?;
        let mut secrets = Vec::new();
        for slot in [Slot::Next, Slot::Current] {
            secrets.extend(store.get(slot)?);
        }
        let fingerprints = secrets.iter().map(Secret::fingerprint).collect();
        if let Some(receiver) = &self.receiver {
            receiver.reload(secrets);
        }
        Ok(fingerprints)
    }

    /// Real deliveries so far, accepted and refused.
    pub fn deliveries(&self) -> (u64, u64) {
        let deliveries = self.receiver.as_ref().map(|receiver| receiver.deliveries()).unwrap_or_default();
        (deliveries.accepted, deliveries.refused.saturating_sub(self.forged.load(Ordering::Relaxed)))
    }

    /// The stand-in receiver, where there is one.
    pub fn receiver(&self) -> Option<&Receiver> {
        self.receiver.as_deref()
    }

    /// The old secret is ended on the stand-in's page.
    pub fn end(&self) {
        self.stand_in.end_by_hand();
    }

    /// The stand-in's page is pressed, and shows the new secret.
    pub fn press(&self) -> Secret {
        self.stand_in.rotate_by_hand()
    }

    /// How many rotations the stand-in provider has made.
    pub fn rotations(&self) -> u32 {
        self.stand_in.ledger().rotations
    }

    /// Sends one delivery signed with this secret alone; whether the receiver accepted it.
    pub fn is_accepted(&self, secret: &Secret) -> Option<bool> {
        let (receiver, scheme) = (self.receiver.as_ref()?, self.scheme.as_ref()?);
        self.forged.fetch_add(1, Ordering::Relaxed);
        deliver(&client()?, scheme, &[secret], &receiver.url()).map(|status| status < 300)
    }

    /// The secret that receivers live on.
    pub fn live(&self) -> anyhow::Result<Option<Secret>> {
        Ok(self.store()?.get(Slot::Current)?)
    }

    fn store(&self) -> anyhow::Result<Box<dyn Store>> {
        Ok(store::open(&self.reference, &SlotNames::default(), &self.surroundings())?)
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings {
            folder: self.folder.path().to_owned(),
            target: "rehearsal".to_owned(),
            ..Surroundings::default()
        }
    }

    /// Deliveries go on all the time, signed with whatever the stand-in provider signs with by then.
    fn start_traffic(&self) -> anyhow::Result<Option<JoinHandle<()>>> {
        let (Some(receiver), Some(scheme)) = (&self.receiver, &self.scheme) else { return Ok(None) };
        let (stand_in, stop, url, scheme) =
            (Arc::clone(&self.stand_in), Arc::clone(&self.stop), receiver.url(), scheme.clone());
        let run = move || {
            let Some(client) = client() else { return };
            while !stop.load(Ordering::Relaxed) {
                for secrets in stand_in.signings() {
                    // A delivery that fails is seen in the receiver's counts.
                    let _ = deliver(&client, &scheme, &secrets.iter().collect::<Vec<_>>(), &url);
                }
                std::thread::sleep(DELIVER_EVERY);
            }
        };
        Ok(Some(std::thread::Builder::new().name("stand-in deliveries".to_owned()).spawn(run)?))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(traffic) = self.traffic.take() {
            // A thread that panicked has nothing left to stop.
            let _ = traffic.join();
        }
    }
}

/// The ids of the endpoint that is rehearsed with.
pub fn ids(provider: &Provider) -> Vec<(String, String)> {
    provider
        .spec()
        .ids
        .iter()
        .map(|name| (name.clone(), format!("rehearsal-{}", name.to_lowercase().replace('_', "-"))))
        .collect()
}

fn client() -> Option<Client> {
    Client::new(&ClientOptions { timeout: DELIVERY_TIMEOUT, ca: None }).ok()
}

fn deliver(client: &Client, scheme: &Scheme, secrets: &[&Secret], url: &str) -> Option<u16> {
    let id = format!("msg_{}", Uuid::new_v4().simple());
    let (body, kind) = match scheme.signs_form() {
        true => ("type=rehearsal.ping&note=made+up+by+whsec+rehearse", FORM),
        false => (r#"{"type":"rehearsal.ping","data":{"note":"made up by whsec rehearse"}}"#, "application/json"),
    };
    let sent = Sent::to(url, body.as_bytes());
    let mut headers = signature::sign(scheme, secrets, &id, Timestamp::now().as_second(), sent).ok()?;
    headers.push(("Content-Type".to_owned(), kind.to_owned()));
    client.deliver(url, &headers, sent.body).ok().map(|delivered| delivered.status)
}
