//! What the environment says about the Hugging Face hub.

use std::path::PathBuf;

const ENDPOINT: &str = "https://huggingface.co";

/// How the hub is reached.
///
/// # Reference
/// "Environment variables" of the `huggingface_hub` documentation.
#[derive(Clone, PartialEq, Eq)]
pub struct HubAccess {
    /// Its address, without a slash at the end.
    pub endpoint: String,
    /// Sent with every request to it, and to nobody else.
    pub token: Option<String>,
    /// Where programs leave what they download, for each other.
    pub cache: PathBuf,
    /// Nothing but the cache is used.
    pub is_offline: bool,
}

/// The token is nobody's business.
impl std::fmt::Debug for HubAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubAccess")
            .field("endpoint", &self.endpoint)
            .field("has_token", &self.token.is_some())
            .field("cache", &self.cache)
            .field("is_offline", &self.is_offline)
            .finish()
    }
}

impl HubAccess {
    /// As `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HOME`, `HF_HUB_CACHE`, `HF_HUB_OFFLINE` and `XDG_CACHE_HOME` say.
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// The same of any source of variables.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| {
            variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let home = set("HF_HOME").map(PathBuf::from).unwrap_or_else(|| {
            let own = || {
                PathBuf::from(set("HOME").or_else(|| set("USERPROFILE")).unwrap_or_default()).join(".cache")
            };
            set("XDG_CACHE_HOME").map(PathBuf::from).unwrap_or_else(own).join("huggingface")
        });
        let token_path = set("HF_TOKEN_PATH").map(PathBuf::from).unwrap_or_else(|| home.join("token"));
        let saved = || {
            let text = std::fs::read_to_string(&token_path).ok()?;
            Some(text.trim().to_owned()).filter(|token| !token.is_empty())
        };
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let is_true = |value: String| matches!(value.to_lowercase().as_str(), "1" | "true" | "yes" | "on");
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: set("HF_TOKEN").or_else(saved),
            cache: set("HF_HUB_CACHE").map(PathBuf::from).unwrap_or_else(|| home.join("hub")),
            is_offline: set("HF_HUB_OFFLINE").is_some_and(is_true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> HubAccess {
        HubAccess::from_variables(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_have_their_defaults_and_their_order() {
        let plain = with(&[("HOME", "/h")]);
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert_eq!((plain.token, plain.is_offline), (None, false));
        assert_eq!(plain.cache, PathBuf::from("/h/.cache/huggingface/hub"));
        let given =
            with(&[("HF_ENDPOINT", "http://mirror/"), ("HF_HUB_OFFLINE", "ON"), ("XDG_CACHE_HOME", "/x")]);
        assert_eq!((given.endpoint.as_str(), given.is_offline), ("http://mirror", true));
        assert_eq!(given.cache, PathBuf::from("/x/huggingface/hub"));
        assert!(!with(&[("HF_HUB_OFFLINE", "0")]).is_offline);
    }

    #[test]
    fn the_token_is_read_from_its_file_and_shown_to_nobody() {
        let home = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(home.path().join("token"), "hf_secret\n").expect("the folder is writable");
        let path = home.path().display().to_string();
        let saved = with(&[("HF_HOME", &path)]);
        assert_eq!(saved.token.as_deref(), Some("hf_secret"));
        assert!(!format!("{saved:?}").contains("hf_secret"));
        assert_eq!(with(&[("HF_HOME", &path), ("HF_TOKEN", "hf_other")]).token.as_deref(), Some("hf_other"));
    }
}
