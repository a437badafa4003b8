//! A page of headings, lines, lists and tables, as Markdown or as one HTML file without scripts and links.

use crate::ui::text::one_line;

/// A piece of a page. Everything in it is text.
pub enum Block {
    Heading(usize, String),
    Text(String),
    List(Vec<String>),
    Table(Vec<String>, Vec<Vec<String>>),
}

/// The letters that mean something in Markdown.
const MARKS: &[char] = &['\\', '`', '*', '_', '[', ']', '#', '|', '~'];

/// The page as Markdown.
pub fn markdown(blocks: &[Block]) -> String {
    let cells =
        |row: &[String]| format!("| {} |\n", row.iter().map(|cell| marked(cell)).collect::<Vec<_>>().join(" | "));
    let block = |block: &Block| match block {
        Block::Heading(depth, text) => format!("{} {}\n", "#".repeat(*depth), marked(text)),
        Block::Text(text) => format!("{}\n", marked(text)),
        Block::List(items) => items.iter().map(|item| format!("- {}\n", marked(item))).collect(),
        Block::Table(head, rows) => {
            let rule = format!("|{}\n", "---|".repeat(head.len()));
            let rows: String = rows.iter().map(|row| cells(row)).collect();
            format!("{}{rule}{rows}", cells(head))
        }
    };
    blocks.iter().map(block).collect::<Vec<_>>().join("\n")
}

/// The page as HTML.
pub fn html(title: &str, blocks: &[Block]) -> String {
    let cells = |name: &str, row: &[String]| {
        let cells = row.iter().map(|cell| format!("<{name}>{}</{name}>", escaped(cell)));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let block = |block: &Block| match block {
        Block::Heading(depth, text) => format!("<h{depth}>{}</h{depth}>\n", escaped(text)),
        Block::Text(text) => format!("<p>{}</p>\n", escaped(text)),
        Block::List(items) => {
            let items: String = items.iter().map(|item| format!("<li>{}</li>\n", escaped(item))).collect();
            format!("<ul>\n{items}</ul>\n")
        }
        Block::Table(head, rows) => {
            let rows: String = rows.iter().map(|row| cells("td", row)).collect();
            format!("<table>\n{}{rows}</table>\n", cells("th", head))
        }
    };
    let body: String = blocks.iter().map(block).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n{body}</body>\n</html>\n",
        escaped(title)
    )
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em}\
                     table{border-collapse:collapse}th,td{border:1px solid #bbb;padding:.3em .6em;text-align:left;vertical-align:top}";

fn marked(text: &str) -> String {
    let mut marked = String::new();
    for letter in one_line(text).chars() {
        match letter {
            '&' => marked.push_str("&amp;"),
            '<' => marked.push_str("&lt;"),
            '>' => marked.push_str("&gt;"),
            letter => {
                marked.extend(MARKS.contains(&letter).then_some('\\'));
                marked.push(letter);
            }
        }
    }
    marked
}

fn escaped(text: &str) -> String {
    let text = one_line(text);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_text_on_either_page() {
        let hostile = "<script>alert(1)</script> | **bold** [x](https://a.example) `code`\nnext \u{1b}[31mred\u{202e}";
        let blocks = [
            Block::Heading(1, hostile.to_owned()),
            Block::Text(hostile.to_owned()),
            Block::List(vec![hostile.to_owned()]),
            Block::Table(vec![hostile.to_owned()], vec![vec![hostile.to_owned()]]),
        ];
        let (markdown, html) = (markdown(&blocks), html(hostile, &blocks));
        for page in [&markdown, &html] {
            assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'), "{page}");
        }
        assert!(!html.contains("<script") && html.matches("&lt;script&gt;").count() == 6, "{html}");
        assert!(!markdown.contains("<script") && !markdown.contains("**bold"), "{markdown}");
        // A table has as many columns as it was given.
        let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with("| ")).collect();
        assert!(rows.iter().all(|row| row.replace("\\|", "").matches('|').count() == 2), "{rows:?}");
    }
}
