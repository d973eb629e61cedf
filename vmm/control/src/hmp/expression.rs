//! Expressions of the monitor: numbers, registers as `$name`, and C's operators on 64 bits.

use engine::Cpu;

/// Deepest nesting.
const DEEPEST: u32 = 64;

struct Parser<'a, 'c> {
    rest: &'a str,
    cpu: &'c mut dyn Cpu,
    depth: u32,
}

/// The value of `text`, or what is wrong with it.
pub fn evaluate(text: &str, cpu: &mut dyn Cpu) -> Result<u64, String> {
    let mut parser = Parser { rest: text.trim(), cpu, depth: 0 };
    let value = parser.sum()?;
    match parser.rest {
        "" => Ok(value),
        rest => Err(format!("unexpected '{}' in expression\n", rest.escape_default())),
    }
}

impl Parser<'_, '_> {
    /// Takes one of these characters, if it is next.
    fn take(&mut self, set: &[char]) -> Option<char> {
        self.rest = self.rest.trim_start();
        let next = self.rest.chars().next().filter(|c| set.contains(c))?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn sum(&mut self) -> Result<u64, String> {
        let mut value = self.logic()?;
        while let Some(operator) = self.take(&['+', '-']) {
            let other = self.logic()?;
            value = if operator == '+' { value.wrapping_add(other) } else { value.wrapping_sub(other) };
        }
        Ok(value)
    }

    fn logic(&mut self) -> Result<u64, String> {
        let mut value = self.product()?;
        while let Some(operator) = self.take(&['&', '|', '^']) {
            let other = self.product()?;
            value = match operator {
                '&' => value & other,
                '|' => value | other,
                _ => value ^ other,
            };
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<u64, String> {
        let mut value = self.unary()?;
        while let Some(operator) = self.take(&['*', '/', '%']) {
            let other = self.unary()?;
            value = match operator {
                '*' => Some(value.wrapping_mul(other)),
                '/' => value.checked_div(other),
                _ => value.checked_rem(other),
            }
            .ok_or("division by zero\n")?;
        }
        Ok(value)
    }

    fn unary(&mut self) -> Result<u64, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("expression is too deep\n".into());
        }
        let value = match self.take(&['+', '-', '~', '(']) {
            Some('+') => self.unary(),
            Some('-') => self.unary().map(u64::wrapping_neg),
            Some('~') => self.unary().map(|value| !value),
            Some(_) => {
                let value = self.sum()?;
                self.take(&[')']).map(|_| value).ok_or_else(|| "')' expected\n".to_string())
            }
            None => self.atom(),
        };
        self.depth -= 1;
        value
    }

    fn atom(&mut self) -> Result<u64, String> {
        let register = self.take(&['$']).is_some();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if register {
            self.rest = rest;
            return self.register(word).ok_or_else(|| "unknown register\n".to_string());
        }
        if self.rest.is_empty() {
            return Err("unexpected end of expression\n".into());
        }
        if word.is_empty() {
            return Err("invalid expression: a number or $register expected\n".into());
        }
        let value = if let Some(hex) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
            u64::from_str_radix(hex, 16)
        } else if word.len() > 1 && word.starts_with('0') {
            u64::from_str_radix(&word[1..], 8)
        } else {
            word.parse()
        };
        let value = value.map_err(|_| format!("invalid number '{word}'\n"))?;
        self.rest = rest;
        Ok(value)
    }

    fn register(&mut self, name: &str) -> Option<u64> {
        let features = self.cpu.features();
        let mut all = features.iter().flat_map(|feature| &feature.registers);
        let number = all.find(|register| register.name == name)?.number;
        let bytes = self.cpu.register(number)?;
        let mut value = [0; 8];
        let len = bytes.len().min(8);
        value[..len].copy_from_slice(&bytes[..len]);
        Some(u64::from_le_bytes(value))
    }
}
