//! A remote library of Robot Framework with the keywords of Renode: XML-RPC over HTTP.
//!
//! From: Robot Framework's "Remote library interface", the XML-RPC specification (xmlrpc.com/spec.md), and Renode's
//! documentation, "Testing with Renode". [`keywords`] has the keywords, [`xml`] the values, this file the server. Machines are described as
//! `qemu-system-*` has it (`Create Machine`), not in Renode's files; keywords about LEDs, sensors and radios are left out.

mod keywords;
mod xml;

use keywords::{KEYWORDS, Robot};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;
use xml::Value;

/// Bytes of a request, at most.
const MOST: usize = 16 << 20;

/// Serves on `port` of the loopback interface, with the emulator `program`, until it is told to stop
/// (`stop_remote_server`).
///
/// # Errors
/// The port can not be had.
pub fn serve(program: &Path, port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    println!("Robot Framework remote server at http://{}/", listener.local_addr()?);
    io::stdout().flush()?;
    let (to, calls) = mpsc::channel::<Call>();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let to = to.clone();
            // A client that is gone is no fault of ours.
            std::thread::spawn(move || drop(converse(stream, &to)));
        }
    });
    // One thread has the guests, which end with the thread that started them.
    let mut robot = Robot::new(program);
    for call in calls {
        let stop = call.method == "stop_remote_server";
        // As above.
        let _ = call.answer.send(answer(&mut robot, &call.method, &call.params));
        if stop {
            // The answer is on its way.
            std::thread::sleep(FAREWELL);
            break;
        }
    }
    Ok(())
}

/// How long the server stays when it has been told to stop.
const FAREWELL: Duration = Duration::from_millis(200);

/// A call, and where its answer goes.
struct Call {
    method: String,
    params: Vec<Value>,
    answer: Sender<Result<Value, String>>,
}

/// Answers the requests of one client.
fn converse(stream: TcpStream, calls: &Sender<Call>) -> io::Result<()> {
    let mut from = BufReader::new(stream.try_clone()?);
    let mut to = stream;
    while let Some(body) = request(&mut from)? {
        let result = xml::call(&body).and_then(|(method, params)| {
            let (answer, here) = mpsc::channel();
            let gone = |_| "the server has stopped".to_string();
            calls.send(Call { method, params, answer }).map_err(|_| gone(()))?;
            here.recv().map_err(|_| gone(()))?
        });
        let answer = match result {
            Ok(value) => xml::response(&value),
            Err(what) => xml::fault(&what),
        };
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n", answer.len());
        to.write_all(head.as_bytes())?;
        to.write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// The body of the next request; `None` at the end.
fn request(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut length = 0;
    let mut lines = 0;
    loop {
        let mut line = String::new();
        if from.by_ref().take(64 << 10).read_line(&mut line)? == 0 {
            return Ok(None);
        }
        lines += 1;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
        if lines > 100 || length > MOST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no request of a client of XML-RPC"));
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(Some(String::from_utf8_lossy(&body).into_owned()))
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// Carries out one method of the interface.
fn answer(robot: &mut Robot, method: &str, params: &[Value]) -> Result<Value, String> {
    let name = params.first().map(Value::text).unwrap_or_default();
    let keyword = || {
        let found = KEYWORDS.iter().find(|keyword| keyword.name == name);
        found.ok_or_else(|| format!("there is no keyword '{name}'"))
    };
    Ok(match method {
        "get_keyword_names" => Value::List(KEYWORDS.iter().map(|keyword| text(keyword.name)).collect()),
        "get_keyword_arguments" => Value::List(keyword()?.arguments.iter().map(|name| text(name)).collect()),
        "get_keyword_documentation" if name == "__intro__" || name == "__init__" => {
            text("Drives guests of Mimic, with the names of Renode's keywords.")
        }
        "get_keyword_documentation" => text(keyword()?.help),
        "get_keyword_types" | "get_keyword_tags" => Value::List(Vec::new()),
        "run_keyword" => {
            let keyword = keyword()?;
            let arguments = keyword.take(params.get(1), params.get(2))?;
            let member = |key: &str, value: Value| (key.to_string(), value);
            Value::Map(match (keyword.run)(robot, &arguments) {
                Ok(value) => vec![member("status", text("PASS")), member("return", value)],
                Err(what) => vec![member("status", text("FAIL")), member("error", text(&what))],
            })
        }
        "stop_remote_server" => Value::Bool(true),
        _ => return Err(format!("there is no method '{method}'")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_describes_its_keywords() {
        let mut robot = Robot::new(Path::new("/nonexistent"));
        let Ok(Value::List(names)) = answer(&mut robot, "get_keyword_names", &[]) else { panic!("no list") };
        for name in [
            "Create Terminal Tester",
            "Wait For Line On Uart",
            "Wait For Prompt On Uart",
            "Wait For Next Line On Uart",
            "Should Not Be On Uart",
            "Write Line To Uart",
            "Test If Uart Is Idle",
            "Start Emulation",
            "Reset Emulation",
            "Execute Command",
        ] {
            assert!(names.contains(&text(name)), "{name}");
        }
        let arguments = answer(&mut robot, "get_keyword_arguments", &[text("Wait For Line On Uart")]);
        let Ok(Value::List(arguments)) = arguments else { panic!("no list") };
        assert_eq!(arguments[0], text("content"));
        let named = Value::Map(vec![("arch".into(), text("nonsense"))]);
        let call = [text("Create Machine"), Value::List(vec![text("-M virt")]), named];
        let Ok(Value::Map(result)) = answer(&mut robot, "run_keyword", &call) else { panic!("no result") };
        assert_eq!(result[0].1, text("FAIL"));
        let unknown = Value::Map(vec![("arhc".into(), text("x"))]);
        let call = [text("Create Machine"), Value::List(Vec::new()), unknown];
        answer(&mut robot, "run_keyword", &call).expect_err("no argument of that name");
        answer(&mut robot, "nonsense", &[]).expect_err("no method");
        let call = [text("Start Emulation"), Value::List(Vec::new())];
        let Ok(Value::Map(result)) = answer(&mut robot, "run_keyword", &call) else { panic!("no result") };
        assert_eq!(result[0].1, text("FAIL"));
    }

    #[test]
    fn requests_end_where_they_say() {
        let mut bytes =
            &b"POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 3\r\n\r\nabcPOST / HTTP/1.1\r\n\r\n"[..];
        assert_eq!(request(&mut bytes).expect("whole").as_deref(), Some("abc"));
        assert_eq!(request(&mut bytes).expect("whole").as_deref(), Some(""));
        assert_eq!(request(&mut bytes).expect("the end"), None);
        request(&mut &b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n"[..]).expect_err("too long");
    }
}
