//! The options of one plugin.

/// What is wrong with a plugin or its options.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// There is no such plugin.
    #[error("'{file}' is none of the plugins that are built in ({known}); others can not be loaded")]
    Unknown {
        /// As it was given.
        file: String,
        /// Those that there are.
        known: String,
    },
    /// It has no such option.
    #[error("plugin {plugin} has no option '{option}'")]
    NoOption {
        /// The plugin.
        plugin: String,
        /// The option.
        option: String,
    },
    /// A file that it is to write.
    #[error("plugin {plugin}: {what}")]
    File {
        /// The plugin.
        plugin: String,
        /// What the host says.
        what: String,
    },
    /// An option's value.
    #[error("plugin {plugin}: {option}={value}: {what}")]
    Value {
        /// The plugin.
        plugin: String,
        /// The option.
        option: String,
        /// As it was given.
        value: String,
        /// What is expected.
        what: &'static str,
    },
}

/// Options that are taken out one after the other.
pub struct Arguments<'a> {
    plugin: &'a str,
    left: Vec<(&'a str, &'a str)>,
}

/// An unsigned number: decimal or `0x` hexadecimal.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

impl<'a> Arguments<'a> {
    /// The options of `plugin`.
    pub fn new(plugin: &'a str, options: &'a [(String, String)]) -> Self {
        Self { plugin, left: options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect() }
    }

    /// Every value that `option` was given.
    pub fn texts(&mut self, option: &str) -> Vec<&'a str> {
        let values = self.left.iter().filter(|(key, _)| *key == option).map(|(_, value)| *value).collect();
        self.left.retain(|(key, _)| *key != option);
        values
    }

    /// The last value of `option`.
    pub fn text(&mut self, option: &str) -> Option<&'a str> {
        self.texts(option).pop()
    }

    /// A truth value; `None` where it is not given.
    pub fn flag(&mut self, option: &str) -> Result<Option<bool>, PluginError> {
        let Some(value) = self.text(option) else { return Ok(None) };
        match value {
            "on" | "yes" | "true" | "y" => Ok(Some(true)),
            "off" | "no" | "false" | "n" => Ok(Some(false)),
            _ => Err(self.fault(option, value, "expects on or off")),
        }
    }

    /// A number; `None` where it is not given.
    pub fn number(&mut self, option: &str) -> Result<Option<u64>, PluginError> {
        let Some(value) = self.text(option) else { return Ok(None) };
        number(value).map(Some).ok_or_else(|| self.fault(option, value, "expects a number"))
    }

    /// Every number that `option` was given.
    pub fn numbers(&mut self, option: &str) -> Result<Vec<u64>, PluginError> {
        let parse = |value: &&str| number(value).ok_or_else(|| self.fault(option, value, "expects a number"));
        let values: Vec<&str> =
            self.left.iter().filter(|(key, _)| *key == option).map(|(_, value)| *value).collect();
        let numbers = values.iter().map(parse).collect::<Result<Vec<u64>, _>>()?;
        self.left.retain(|(key, _)| *key != option);
        Ok(numbers)
    }

    /// Every `NUMBER[:STATUS]` that `option` was given.
    pub fn triggers(&mut self, option: &str) -> Result<Vec<(u64, u8)>, PluginError> {
        let read = |value: &str| {
            let (at, status) = value.split_once(':').unwrap_or((value, "0"));
            Some((number(at)?, number(status).and_then(|status| u8::try_from(status).ok())?))
        };
        let values = self.texts(option);
        let what = "expects NUMBER or NUMBER:STATUS, with a status below 256";
        values.into_iter().map(|value| read(value).ok_or_else(|| self.fault(option, value, what))).collect()
    }

    /// A fault of the value of `option`.
    pub fn fault(&self, option: &str, value: &str, what: &'static str) -> PluginError {
        PluginError::Value { plugin: self.plugin.into(), option: option.into(), value: value.into(), what }
    }

    /// That there is nothing left.
    pub fn finish(self) -> Result<(), PluginError> {
        match self.left.first() {
            None => Ok(()),
            Some((option, _)) => {
                Err(PluginError::NoOption { plugin: self.plugin.into(), option: (*option).into() })
            }
        }
    }
}
