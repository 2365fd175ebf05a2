//! `CronBlock`: our lines of a crontab, between two marks that name the project. Pure: a crontab comes in as text and leaves as text.

use super::call::{Call, Word};
use super::job::Job;
use crate::words::{Error, Result};

/// The lines of one project, marks included.
pub struct CronBlock {
    begin: String,
    end: String,
    lines: String,
}

impl CronBlock {
    /// A line a job.
    pub fn new(call: &Call, jobs: &[Job]) -> Result<Self> {
        let mut lines = String::new();
        for job in jobs {
            lines += &format!("{} {}\n", job.at.cron(), command(call, job)?);
        }
        Ok(Self { lines, ..Self::of(&call.project) })
    }

    /// Without lines, to take out what is there.
    pub fn of(project: &str) -> Self {
        let mark = |word: &str| format!("# {word} distribute {project}");
        Self { begin: mark("BEGIN"), end: mark("END"), lines: String::new() }
    }

    /// The block as it stands in a crontab.
    pub fn text(&self) -> String {
        format!("{}\n{}{}\n", self.begin, self.lines, self.end)
    }

    /// The crontab with this block in the place of the earlier one, or at its end. No other line is touched.
    pub fn put_into(&self, crontab: &str) -> Result<String> {
        let (before, after) = match self.around(crontab)? {
            Some(parts) => parts,
            None => (ended(crontab), String::new()),
        };
        Ok(format!("{before}{}{after}", self.text()))
    }

    /// The crontab without the block.
    pub fn take_from(&self, crontab: &str) -> Result<String> {
        Ok(self.around(crontab)?.map_or_else(|| crontab.to_owned(), |(before, after)| before + &after))
    }

    /// What stands before and behind the block, if it is there.
    fn around(&self, crontab: &str) -> Result<Option<(String, String)>> {
        let lines: Vec<&str> = crontab.split_inclusive('\n').collect();
        let places = |mark: &str| -> Vec<usize> {
            lines.iter().enumerate().filter(|(_, line)| line.trim_end() == mark).map(|(at, _)| at).collect()
        };
        match (&places(&self.begin)[..], &places(&self.end)[..]) {
            ([], []) => Ok(None),
            ([begin], [end]) if begin < end => Ok(Some((lines[..*begin].concat(), lines[end + 1..].concat()))),
            _ => Err(Error::new(format!("the crontab does not hold `{}` and `{}` once each", self.begin, self.end))
                .hint("put that right first: crontab -e")),
        }
    }
}

/// A last line without its end would run into ours.
fn ended(crontab: &str) -> String {
    let is_whole = crontab.is_empty() || crontab.ends_with('\n');
    format!("{crontab}{}", if is_whole { "" } else { "\n" })
}

fn command(call: &Call, job: &Job) -> Result<String> {
    let mut line = "umask 077; ".to_owned();
    if let Some((name, value)) = call.variable() {
        line += &format!("{name}={} ", quoted(value)?);
    }
    line += &format!("exec {}", quoted(&call.program)?);
    for word in call.words(job) {
        let (Word::Plain(text) | Word::Private { path: text, .. }) = word;
        line += &format!(" {}", quoted(&text)?);
    }
    Ok(line)
}

/// As one word for sh, with what cron itself would make a line break of escaped.
fn quoted(word: &str) -> Result<String> {
    if word.contains('\\') {
        return Err(Error::new(format!("`{word}` cannot be written into a crontab: it holds a backslash"))
            .hint("implementations of cron read that differently; move it to another path, or use --systemd"));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/:._-+=@,%".contains(c);
    let word = match word.chars().all(is_plain) && !word.is_empty() {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\"'\"'")),
    };
    Ok(word.replace('%', "\\%"))
}

#[cfg(test)]
mod tests {
    use super::super::job::jobs;
    use super::super::schedule_time::ScheduleTime;
    use super::*;

    fn block(project: &str) -> Result<CronBlock> {
        let time = |text: &str| text.parse().unwrap();
        let call = Call::fixture("/usr/bin/distribute", project, "/srv/vault-password");
        CronBlock::new(&call, &jobs(time("Sun 02:00"), time("03:00"), time("Sun 04:00"), time("05:00"))[..2])
    }

    #[test]
    fn a_line_a_job_between_marks() {
        assert_eq!(
            block("/srv/it's 5%").unwrap().text(),
            "# BEGIN distribute /srv/it's 5%\n\
             0 2 * * 0 umask 077; exec /usr/bin/distribute -C '/srv/it'\"'\"'s 5\\%' --password-file /srv/vault-password -q rotate\n\
             0 3 * * * umask 077; exec /usr/bin/distribute -C '/srv/it'\"'\"'s 5\\%' --password-file /srv/vault-password -q audit\n\
             # END distribute /srv/it's 5%\n"
        );
        assert!(block("/srv/a\\b").err().unwrap().message().contains("backslash"));
    }

    #[test]
    fn a_state_directory_goes_along() {
        let call = Call::fixture("/usr/bin/distribute", "/srv/a", "/srv/p").with_state_directory("/srv/it's 5%");
        let time: ScheduleTime = "03:00".parse().unwrap();
        let text = CronBlock::new(&call, &jobs(time, time, time, time)).unwrap().text();
        let line = "umask 077; DISTRIBUTE_STATE_DIR='/srv/it'\"'\"'s 5\\%' exec /usr/bin/distribute -C /srv/a ";
        assert_eq!(text.matches(line).count(), 4, "{text}");
        let call = Call::fixture("/usr/bin/distribute", "/srv/a", "/srv/p").with_state_directory("/srv/a\\b");
        assert!(CronBlock::new(&call, &jobs(time, time, time, time)).is_err());
    }

    #[test]
    fn only_our_own_lines_are_touched() {
        let (block, other) = (block("/srv/a").unwrap(), block("/srv/ab").unwrap());
        for crontab in ["", "MAILTO=ops\n1 2 * * * true\n", "1 2 * * * true"] {
            let once = block.put_into(crontab).unwrap();
            assert_eq!(block.put_into(&once).unwrap(), once);
            let both = other.put_into(&once).unwrap() + "# last\n";
            assert_eq!(block.put_into(&both).unwrap(), both);
            assert_eq!(block.take_from(&both).unwrap(), ended(crontab) + &other.text() + "# last\n");
            assert_eq!(block.take_from(crontab).unwrap(), crontab);
        }
        let torn = "# BEGIN distribute /srv/a\n1 2 * * * true\n";
        assert!(block.put_into(torn).is_err() && block.take_from(torn).is_err());
        assert!(block.put_into(&(block.text() + &block.text())).is_err());
    }
}
