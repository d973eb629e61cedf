//! Values of XML-RPC, and the messages that carry them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// Names with values.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// As text, as keywords take their arguments.
    pub fn text(&self) -> String {
        match self {
            Self::Nil | Self::Map(_) => String::new(),
            Self::Bool(value) => (if *value { "True" } else { "False" }).into(),
            Self::Number(value) => value.to_string(),
            Self::Text(value) => value.clone(),
            Self::List(values) => values.iter().map(Self::text).collect::<Vec<_>>().join("\n"),
        }
    }
}

fn elements<'a>(node: Node<'a, 'a>) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children().filter(Node::is_element)
}

/// Values inside each other, at most.
const DEPTH: usize = 32;

fn value(node: Node<'_, '_>, depth: usize) -> Result<Value, String> {
    if depth > DEPTH {
        return Err("values are too deep inside each other".into());
    }
    let Some(inner) = node.children().find(Node::is_element) else {
        return Ok(Value::Text(node.text().unwrap_or_default().into()));
    };
    let text = inner.text().unwrap_or_default();
    let child = |name: &str| inner.children().find(|child| child.has_tag_name(name));
    Ok(match inner.tag_name().name() {
        "string" => Value::Text(text.into()),
        "int" | "i4" | "i8" | "double" => {
            Value::Number(text.trim().parse().map_err(|_| format!("'{text}' is no number"))?)
        }
        "boolean" => Value::Bool(text.trim() == "1"),
        "base64" => {
            let packed: String = text.split_whitespace().collect();
            let bytes = STANDARD.decode(packed).map_err(|fault| format!("base64: {fault}"))?;
            Value::Text(String::from_utf8_lossy(&bytes).into_owned())
        }
        "array" => {
            let data = child("data").ok_or("an array has no data")?;
            Value::List(
                data.children()
                    .filter(Node::is_element)
                    .map(|v| value(v, depth + 1))
                    .collect::<Result<_, _>>()?,
            )
        }
        "struct" => {
            let mut members = Vec::new();
            for member in inner.children().filter(Node::is_element) {
                let part = |name: &str| member.children().find(|child| child.has_tag_name(name));
                let (Some(name), Some(of)) = (part("name"), part("value")) else {
                    return Err("a member has no name or value".into());
                };
                members.push((name.text().unwrap_or_default().into(), value(of, depth + 1)?));
            }
            Value::Map(members)
        }
        _ => Value::Nil,
    })
}

/// Reads a call: its method and parameters.
pub fn call(text: &str) -> Result<(String, Vec<Value>), String> {
    let document = Document::parse(text).map_err(|fault| fault.to_string())?;
    let root = document.root_element();
    let method = elements(root).find(|node| node.has_tag_name("methodName")).and_then(|node| node.text());
    let method = method.ok_or("the call names no method")?.trim().to_string();
    let params = elements(root).find(|node| node.has_tag_name("params"));
    let values = params.into_iter().flat_map(elements).filter_map(|param| elements(param).next());
    Ok((method, values.map(|node| value(node, 0)).collect::<Result<_, _>>()?))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Characters that XML can not carry.
fn unspeakable(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

fn write(value: &Value) -> String {
    let inner = match value {
        Value::Nil => "<nil/>".into(),
        Value::Bool(value) => format!("<boolean>{}</boolean>", u8::from(*value)),
        Value::Number(value) => format!("<double>{value}</double>"),
        Value::Text(text) if text.contains(unspeakable) => {
            format!("<base64>{}</base64>", STANDARD.encode(text))
        }
        Value::Text(text) => format!("<string>{}</string>", escape(text)),
        Value::List(values) => {
            format!("<array><data>{}</data></array>", values.iter().map(write).collect::<String>())
        }
        Value::Map(members) => {
            let member = |(name, value): &(String, Value)| {
                format!("<member><name>{}</name>{}</member>", escape(name), write(value))
            };
            format!("<struct>{}</struct>", members.iter().map(member).collect::<String>())
        }
    };
    format!("<value>{inner}</value>")
}

/// An answer.
pub fn response(value: &Value) -> String {
    let value = write(value);
    format!("<?xml version=\"1.0\"?><methodResponse><params><param>{value}</param></params></methodResponse>")
}

/// An answer that says that something is wrong.
pub fn fault(what: &str) -> String {
    let what = escape(&what.replace(unspeakable, "\u{fffd}"));
    format!(
        "<?xml version=\"1.0\"?><methodResponse><fault><value><struct><member><name>faultCode</name><value><int>1</int></value></member><member><name>faultString</name><value><string>{what}</string></value></member></struct></value></fault></methodResponse>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_pythons_client_is_read() {
        let text = "<?xml version='1.0'?>\n<methodCall>\n<methodName>run_keyword</methodName>\n<params>\n<param>\n<value><string>Write</string></value>\n</param>\n<param>\n<value><array><data>\n<value><string>a&lt;b</string></value>\n<value><int>5</int></value>\n<value><boolean>1</boolean></value>\n<value><base64>\nAw==\n</base64></value>\n</data></array></value>\n</param>\n</params>\n</methodCall>";
        let (method, params) = call(text).expect("well formed");
        assert_eq!((method.as_str(), &params[0]), ("run_keyword", &Value::Text("Write".into())));
        let Value::List(list) = &params[1] else { panic!("no list") };
        let texts: Vec<String> = list.iter().map(Value::text).collect();
        assert_eq!(texts, ["a<b", "5", "True", "\u{3}"]);
        call("<x/>").expect_err("no method");
        call("nonsense").expect_err("no XML");
    }

    #[test]
    fn answers_escape_what_xml_can_not_carry() {
        let value = Value::Map(vec![(
            "a".into(),
            Value::List(vec![Value::Text("<&>".into()), Value::Text("\u{1b}[0m".into())]),
        )]);
        let text = response(&value);
        assert!(
            text.contains("<string>&lt;&amp;&gt;</string>") && text.contains("<base64>G1swbQ==</base64>"),
            "{text}"
        );
        assert!(Document::parse(&text).is_ok());
        assert!(Document::parse(&fault("a\u{1}<")).is_ok());
    }
}
