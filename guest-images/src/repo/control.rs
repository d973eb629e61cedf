//! Paragraphs of fields, the syntax of every Debian control file (deb822(5), Debian Policy 5.1).

/// One paragraph, borrowed from its text.
#[derive(Debug, Default)]
pub struct Paragraph<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Paragraph<'a> {
    /// The value of a field, without regard to the case of its name. Continuation lines are part of the value, with
    /// their line feeds and leading blanks.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// All fields in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().copied()
    }
}

/// The paragraphs of a text. Comment lines and lines that are no field are passed over.
pub fn paragraphs(text: &str) -> impl Iterator<Item = Paragraph<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut paragraph = Paragraph::default();
        let mut open: Option<(&str, usize)> = None;
        while !rest.is_empty() {
            let line_len = rest.find('\n').map_or(rest.len(), |n| n + 1);
            let (line, after) = rest.split_at(line_len);
            let here = text.len() - rest.len();
            rest = after;
            if line.trim().is_empty() {
                close(&mut paragraph, &mut open, text, here);
                if !paragraph.0.is_empty() {
                    return Some(paragraph);
                }
            } else if !line.starts_with([' ', '\t']) {
                close(&mut paragraph, &mut open, text, here);
                if let (false, Some(colon)) = (line.starts_with('#'), line.find(':')) {
                    open = Some((&line[..colon], here + colon + 1));
                }
            }
        }
        close(&mut paragraph, &mut open, text, text.len());
        (!paragraph.0.is_empty()).then_some(paragraph)
    })
}

fn close<'a>(paragraph: &mut Paragraph<'a>, open: &mut Option<(&'a str, usize)>, text: &'a str, end: usize) {
    if let Some((name, start)) = open.take() {
        paragraph.0.push((name, text[start..end].trim()));
    }
}
