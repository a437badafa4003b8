//! Finds descriptions by name: the built-in ones, and the user's own files, which win. A file is read only when asked for.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use super::nearest::nearest;
use super::{Provider, ProviderError};
use crate::secret;
use crate::system::owned::{self, NotOwned};

/// The built-in descriptions: name, the variable that holds the API key (empty where a person rotates), and text. The variable stands here because every command
/// has to know them all, and has no other use for most of the texts.
const BUILTIN: &[(&str, &str, &str)] = &[
    ("ada", "ADA_API_KEY", include_str!("builtin/ada.toml")),
    ("adyen", "ADYEN_MANAGEMENT_KEY", include_str!("builtin/adyen.toml")),
    ("bitbucket", "BITBUCKET_TOKEN", include_str!("builtin/bitbucket.toml")),
    ("calendly", "", include_str!("builtin/calendly.toml")),
    ("circleci", "CIRCLE_TOKEN", include_str!("builtin/circleci.toml")),
    ("clerk", "", include_str!("builtin/clerk.toml")),
    ("contentful", "CONTENTFUL_MANAGEMENT_TOKEN", include_str!("builtin/contentful.toml")),
    ("convoy", "CONVOY_API_KEY", include_str!("builtin/convoy.toml")),
    ("docusign", "", include_str!("builtin/docusign.toml")),
    ("elevenlabs", "", include_str!("builtin/elevenlabs.toml")),
    ("figma", "FIGMA_TOKEN", include_str!("builtin/figma.toml")),
    ("gemini", "GEMINI_API_KEY", include_str!("builtin/gemini.toml")),
    ("gitea", "", include_str!("builtin/gitea.toml")),
    ("github-app", "GITHUB_APP_JWT", include_str!("builtin/github-app.toml")),
    ("github-org", "GITHUB_TOKEN", include_str!("builtin/github-org.toml")),
    ("github", "GITHUB_TOKEN", include_str!("builtin/github.toml")),
    ("gitlab-group", "GITLAB_TOKEN", include_str!("builtin/gitlab-group.toml")),
    ("gitlab", "GITLAB_TOKEN", include_str!("builtin/gitlab.toml")),
    ("gocardless", "", include_str!("builtin/gocardless.toml")),
    ("hand", "", include_str!("builtin/hand.toml")),
    ("heroku", "HEROKU_API_KEY", include_str!("builtin/heroku.toml")),
    ("hopae", "HOPAE_API_KEY", include_str!("builtin/hopae.toml")),
    ("hubspot", "", include_str!("builtin/hubspot.toml")),
    ("intercom", "", include_str!("builtin/intercom.toml")),
    ("kadosei", "KADOSEI_TOKEN", include_str!("builtin/kadosei.toml")),
    ("kit", "KIT_API_KEY", include_str!("builtin/kit.toml")),
    ("klaviyo", "KLAVIYO_API_KEY", include_str!("builtin/klaviyo.toml")),
    ("layers", "LAYERS_API_KEY", include_str!("builtin/layers.toml")),
    ("lemonsqueezy", "LEMONSQUEEZY_API_KEY", include_str!("builtin/lemonsqueezy.toml")),
    ("line", "", include_str!("builtin/line.toml")),
    ("linear", "LINEAR_API_KEY", include_str!("builtin/linear.toml")),
    ("lithic", "LITHIC_API_KEY", include_str!("builtin/lithic.toml")),
    ("mailgun", "MAILGUN_API_KEY", include_str!("builtin/mailgun.toml")),
    ("meta", "", include_str!("builtin/meta.toml")),
    ("mux", "", include_str!("builtin/mux.toml")),
    ("nango", "NANGO_SECRET_KEY", include_str!("builtin/nango.toml")),
    ("notion", "", include_str!("builtin/notion.toml")),
    ("nylas", "NYLAS_API_KEY", include_str!("builtin/nylas.toml")),
    ("okta", "", include_str!("builtin/okta.toml")),
    ("openai", "OPENAI_API_KEY", include_str!("builtin/openai.toml")),
    ("paddle", "", include_str!("builtin/paddle.toml")),
    ("pagerduty", "PAGERDUTY_TOKEN", include_str!("builtin/pagerduty.toml")),
    ("persona", "PERSONA_API_KEY", include_str!("builtin/persona.toml")),
    ("polar", "POLAR_ACCESS_TOKEN", include_str!("builtin/polar.toml")),
    ("quickbooks", "", include_str!("builtin/quickbooks.toml")),
    ("razorpay", "", include_str!("builtin/razorpay.toml")),
    ("resend", "RESEND_API_KEY", include_str!("builtin/resend.toml")),
    ("revolut-merchant", "REVOLUT_MERCHANT_KEY", include_str!("builtin/revolut-merchant.toml")),
    ("sentry", "SENTRY_AUTH_TOKEN", include_str!("builtin/sentry.toml")),
    ("shopify", "", include_str!("builtin/shopify.toml")),
    ("signa", "SIGNA_API_KEY", include_str!("builtin/signa.toml")),
    ("slack", "", include_str!("builtin/slack.toml")),
    ("smartsheet", "SMARTSHEET_TOKEN", include_str!("builtin/smartsheet.toml")),
    ("square", "SQUARE_ACCESS_TOKEN", include_str!("builtin/square.toml")),
    ("stripe-api", "STRIPE_API_KEY", include_str!("builtin/stripe-api.toml")),
    ("stripe", "", include_str!("builtin/stripe.toml")),
    ("svix", "SVIX_AUTH_TOKEN", include_str!("builtin/svix.toml")),
    ("telegram", "TELEGRAM_BOT_TOKEN", include_str!("builtin/telegram.toml")),
    ("terraform", "TFE_TOKEN", include_str!("builtin/terraform.toml")),
    ("twilio", "", include_str!("builtin/twilio.toml")),
    ("typeform", "TYPEFORM_TOKEN", include_str!("builtin/typeform.toml")),
    ("vercel", "VERCEL_TOKEN", include_str!("builtin/vercel.toml")),
    ("verifa", "VERIFA_API_KEY", include_str!("builtin/verifa.toml")),
    ("webflow", "", include_str!("builtin/webflow.toml")),
    ("woocommerce", "WOOCOMMERCE_KEY", include_str!("builtin/woocommerce.toml")),
    ("workos", "", include_str!("builtin/workos.toml")),
    ("xero", "", include_str!("builtin/xero.toml")),
    ("zendesk", "ZENDESK_API_KEY", include_str!("builtin/zendesk.toml")),
    ("zoom", "", include_str!("builtin/zoom.toml")),
];

/// Largest user's file in bytes; what is larger is no description.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Where a description comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    BuiltIn,
    File(PathBuf),
}

/// All known descriptions by name; those in the user's folder are named by their files, `NAME.toml`.
#[derive(Clone, Debug)]
pub struct Catalog {
    entries: BTreeMap<String, Entry>,
    /// The user's folder, where it cannot be listed: which descriptions are in it nobody knows then.
    unlisted: Option<(PathBuf, ErrorKind)>,
}

/// Where a description comes from, and what it says once it was read: many targets have the same.
#[derive(Clone, Debug)]
struct Entry {
    origin: Origin,
    provider: OnceLock<Arc<Provider>>,
}

impl Entry {
    fn new(origin: Origin) -> Self {
        Self { origin, provider: OnceLock::new() }
    }
}

/// Providers that sign with a key pair (Ed25519, ECDSA or RSA), of which receivers have the public half; as of 2026-11-21.
const KEY_PAIRS: [(&str, &str); 7] = [
    ("aws-sns", "AWS SNS"),
    ("discord", "Discord"),
    ("paypal", "PayPal"),
    ("plaid", "Plaid"),
    ("sendgrid", "SendGrid"),
    ("sns", "AWS SNS"),
    ("wise", "Wise"),
];

impl Catalog {
    /// Only what is built in.
    pub fn builtin() -> Self {
        let entries = BUILTIN.iter().map(|(name, ..)| ((*name).to_owned(), Entry::new(Origin::BuiltIn))).collect();
        Self { entries, unlisted: None }
    }

    /// What is built in and every `*.toml` in a folder. No folder, or one that does not exist, adds nothing; one that cannot be
    /// listed fails whoever asks for a provider that may be described in it.
    pub fn load(folder: Option<&Path>) -> Self {
        let mut catalog = Self::builtin();
        let Some(folder) = folder else { return catalog };
        if let Err(error) = catalog.list(folder)
            && error.kind() != ErrorKind::NotFound
        {
            catalog.unlisted = Some((folder.to_owned(), error.kind()));
        }
        catalog
    }

    fn list(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
            if let (Some(name), Some("toml")) = (name, path.extension().and_then(|extension| extension.to_str())) {
                self.entries.insert(name, Entry::new(Origin::File(path)));
            }
        }
        Ok(())
    }

    /// Why the user's folder cannot be listed, where there is one and it cannot.
    pub fn trouble(&self) -> Option<ProviderError> {
        let (path, kind) = self.unlisted.as_ref()?;
        Some(ProviderError::Read { path: path.clone(), source: (*kind).into() })
    }

    /// The same, unless a provider is certainly not described in it: then what is built in counts.
    fn hides(&self, name: &str) -> Option<ProviderError> {
        let (folder, _) = self.unlisted.as_ref()?;
        let is_absent = |error: &io::Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
        let looked = folder.join(format!("{name}.toml")).symlink_metadata();
        match self.entries.get(name)?.origin {
            Origin::BuiltIn if looked.as_ref().is_err_and(is_absent) => None,
            Origin::BuiltIn => self.trouble(),
            Origin::File(_) => None,
        }
    }

    /// Reads and checks the description of this name, once.
    pub fn get(&self, name: &str) -> Result<Arc<Provider>, ProviderError> {
        if let Some(error) = self.hides(name) {
            return Err(error);
        }
        let Some(entry) = self.entries.get(name) else {
            if let Some(error) = self.trouble() {
                return Err(error);
            }
            if let Some((_, title)) = KEY_PAIRS.iter().find(|(other, _)| *other == name) {
                return Err(ProviderError::KeyPair { title });
            }
            let nearest = nearest(name, self.entries.keys().map(String::as_str));
            let name = if nearest.is_some() { name } else { secret::shown(name) };
            return Err(ProviderError::NotFound { name: super::plain_text(name), nearest });
        };
        if let Some(provider) = entry.provider.get() {
            return Ok(Arc::clone(provider));
        }
        let (text, file) = match &entry.origin {
            Origin::BuiltIn => {
                let (_, text) = builtin(name).unwrap_or_default();
                (text.to_owned(), format!("{name}.toml (built in)"))
            }
            Origin::File(path) => (read(path)?, path.display().to_string()),
        };
        let provider = Provider::parse(&text, &file)?;
        if provider.name() != name {
            let why = format!("is `{}`, but the file is called `{name}.toml`", provider.name());
            let fix = "give the file and the provider the same name".to_owned();
            return Err(ProviderError::Invalid { file, key: "name".to_owned(), why, fix });
        }
        Ok(Arc::clone(entry.provider.get_or_init(|| Arc::new(provider))))
    }

    /// The environment variables in which API keys lie, of all descriptions that can be read so far, whatever else they say.
    pub fn key_variables(&self) -> impl Iterator<Item = String> + '_ {
        self.entries.iter().filter_map(|(name, entry)| match &entry.origin {
            Origin::BuiltIn => builtin(name).map(|(variable, _)| variable.to_owned()).filter(|name| !name.is_empty()),
            Origin::File(path) => toml::from_str::<Keyed>(&read(path).ok()?).ok().map(|keyed| keyed.auth.env),
        })
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    /// Name, title and origin of every description, sorted by name. Reads them all; where one is broken, its error
    /// stands in place of the title.
    pub fn iter(&self) -> impl Iterator<Item = (String, String, Origin)> + '_ {
        self.entries.iter().map(|(name, entry)| {
            let title = self.get(name).map_or_else(|error| error.to_string(), |provider| provider.title().to_owned());
            (name.clone(), title, entry.origin.clone())
        })
    }
}

/// The variable and the text of what is built in under a name.
fn builtin(name: &str) -> Option<(&'static str, &'static str)> {
    BUILTIN.iter().find(|(other, ..)| *other == name).map(|(_, variable, text)| (*variable, *text))
}

/// All that is read of a description to know where its key may lie.
#[derive(Deserialize)]
struct Keyed {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    env: String,
}

/// A description says where keys are sent, so nobody else may have written it.
fn read(path: &Path) -> Result<String, ProviderError> {
    let not_owned = |error: NotOwned| {
        error.map(
            path,
            |path, source| ProviderError::Read { path, source },
            |path, why, fix| ProviderError::NotPrivate { path, why, fix },
        )
    };
    let gone = || ProviderError::Read { path: path.to_owned(), source: ErrorKind::NotFound.into() };
    owned::read_text(path, LARGEST_FILE).map_err(not_owned)?.ok_or_else(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a12_a_folder_that_cannot_be_listed_hides_no_more_than_it_may_hold() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("providers");
        std::fs::write(&file, "no folder").unwrap();
        let catalog = Catalog::load(Some(&file));
        assert!(catalog.trouble().is_some());
        // Nothing can be below a file, so this is the one that is built in; the other was described somewhere.
        assert!(catalog.get("layers").is_ok());
        assert!(matches!(catalog.get("acme"), Err(ProviderError::Read { .. })));
        // Below a link that leads to itself there might be anything.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&link, &link).unwrap();
        assert!(matches!(Catalog::load(Some(&link)).get("layers"), Err(ProviderError::Read { .. })));
        assert!(Catalog::load(Some(&folder.path().join("none"))).trouble().is_none());
    }

    #[test]
    fn a_key_lies_where_its_description_says_and_a_broken_one_still_says_it() {
        let catalog = Catalog::builtin();
        let said: Vec<String> = catalog
            .names()
            .iter()
            .map(|name| catalog.get(name).unwrap().spec().auth.env.clone())
            .filter(|env| !env.is_empty())
            .collect();
        assert_eq!(catalog.key_variables().collect::<Vec<_>>(), said);
        let folder = tempfile::tempdir().unwrap();
        let broken = "name = \"acme\"\nrotate = 1\n[auth]\nenv = \"ACME_KEY\"\n";
        std::fs::write(folder.path().join("acme.toml"), broken).unwrap();
        let catalog = Catalog::load(Some(folder.path()));
        assert!(catalog.get("acme").is_err());
        assert!(catalog.key_variables().any(|variable| variable == "ACME_KEY"));
    }

    #[test]
    fn b9_a_description_is_read_once_however_many_targets_have_it() {
        let catalog = Catalog::builtin();
        let first = catalog.get("layers").unwrap();
        assert!(Arc::ptr_eq(&first, &catalog.get("layers").unwrap()));
    }
}
