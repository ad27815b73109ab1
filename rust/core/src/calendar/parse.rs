//! Reading cron expressions.
//!
//! ```text
//! expression  = [ ("CRON_TZ=" | "TZ=") zone ] ( fields | "@daily" ... | "@every" duration )
//! fields      = [ second ] minute hour day-of-month month day-of-week [ year ]
//! field       = "?" | item { "," item }
//! item        = ( "*" | value | value "-" value ) [ "/" step ]
//!             | "L" [ "-" days ] [ "W" ] | day "W"                   day-of-month
//!             | weekday "L" | weekday "#" ( nth | "L" )              day-of-week
//! ```
//!
//! A value is a number or, of months and weekdays, the first three letters of a name or more.
//!
//! Five fields are the classical ones; a sixth comes first and is seconds; a seventh comes last and
//! is the year. Work is linear in the length, which is bounded by [`Cron::MAX_LENGTH`]. An error
//! says which field, where, and why.

use std::fmt;

use super::civil::{MONTHS, WEEKDAYS};
use super::cron::{ALL_DAYS, ALL_WEEKDAYS, Cron, Days, LAST_YEAR, Times, Years};
use crate::time::{FAR_FUTURE, Nanos, SECOND_NS};

/// Whose rules an expression is written by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Vixie and Debian: Sunday is 0 or 7. When day-of-month or day-of-week begins with `*`, a day
    /// must match both, else either.
    #[default]
    Vixie,
    /// Quartz: six or seven fields, Sunday is 1 and Saturday 7, a day must match both day fields,
    /// `?` stands in at most one of them, ranges may run over the end.
    Quartz,
}

/// What an expression says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// When it fires.
    pub rule: ParsedRule,
    /// The zone of a `CRON_TZ=` or `TZ=` prefix, as written and not looked up.
    pub zone: Option<String>,
    /// What is accepted, but hardly meant: steps beyond their field.
    pub warnings: Vec<CronError>,
}

/// The two things that an expression can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParsedRule {
    /// Times on a wall clock.
    Cron(Box<Cron>),
    /// `@every`: a span in nanoseconds, at least 1.
    Every(Nanos),
}

/// Why an expression was refused, or is doubtful, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronError {
    /// The field, such as `minute` or `day-of-week`, if it lies in one.
    pub field: Option<&'static str>,
    /// The byte of the expression, from 0; its length if something is missing at the end.
    pub position: usize,
    /// The offending text and what is wrong with it.
    pub reason: String,
}

impl fmt::Display for CronError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = self.field {
            write!(formatter, "{field} field, ")?;
        }
        write!(formatter, "column {}: {}", self.position + 1, self.reason)
    }
}

impl std::error::Error for CronError {}

type Outcome<T> = Result<T, CronError>;

/// What the values of a field can be.
struct Field {
    name: &'static str,
    least: u16,
    greatest: u16,
    /// English names from `named_from` on; the first three letters or more do.
    names: &'static [&'static str],
    named_from: u16,
}

const fn numbers(name: &'static str, least: u16, greatest: u16) -> Field {
    Field { name, least, greatest, names: &[], named_from: 0 }
}

const SECOND: Field = numbers("second", 0, 59);
const MINUTE: Field = numbers("minute", 0, 59);
const HOUR: Field = numbers("hour", 0, 23);
const DAY_OF_MONTH: Field = numbers("day-of-month", 1, 31);
const MONTH: Field = Field { names: &MONTHS, named_from: 1, ..numbers("month", 1, 12) };
const DAY_OF_WEEK: Field = Field { names: &WEEKDAYS, ..numbers("day-of-week", 0, 7) };
const QUARTZ_DAY_OF_WEEK: Field =
    Field { names: &WEEKDAYS, named_from: 1, ..numbers("day-of-week", 1, 7) };
// Years beyond the axis never come.
const YEAR: Field = numbers("year", 1970, LAST_YEAR as u16);

/// A part of the expression that knows where it stands.
#[derive(Clone, Copy, Debug)]
struct Text<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Text<'a> {
    fn error(self, field: Option<&'static str>, reason: impl fmt::Display) -> CronError {
        CronError { field, position: self.position, reason: reason.to_string() }
    }

    /// The text before and after the first `separator`.
    fn split_once(self, separator: char) -> Option<(Self, Self)> {
        let (head, tail) = self.text.split_once(separator)?;
        let position = self.position + head.len() + separator.len_utf8();
        Some((Self { text: head, ..self }, Self { text: tail, position }))
    }

    fn split(self, separator: char) -> impl Iterator<Item = Self> {
        let mut rest = Some(self);
        std::iter::from_fn(move || {
            let all = rest?;
            let (head, tail) = match all.split_once(separator) {
                Some((head, tail)) => (head, Some(tail)),
                None => (all, None),
            };
            rest = tail;
            Some(head)
        })
    }

    /// Without a suffix of ASCII letters, in either case.
    fn strip_suffix(self, suffix: &str) -> Option<Self> {
        let length = self.text.len().checked_sub(suffix.len())?;
        let (head, tail) = self.text.split_at_checked(length)?;
        tail.eq_ignore_ascii_case(suffix).then_some(Self { text: head, ..self })
    }

    fn words(self) -> impl Iterator<Item = Self> {
        self.text.split_ascii_whitespace().map(move |word| {
            // Words are parts of the text: the distance of their beginnings is the position.
            let offset = word.as_ptr() as usize - self.text.as_ptr() as usize;
            Self { text: word, position: self.position + offset }
        })
    }
}

/// The text for an error message, cut if it is long.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 24;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}...`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// Values from `start` to `end` by `step`; over the end of the field if `end < start`.
#[derive(Clone, Copy, Debug)]
struct Range {
    start: u16,
    end: u16,
    step: u16,
}

impl Field {
    fn error(&self, text: Text<'_>, reason: impl fmt::Display) -> CronError {
        text.error(Some(self.name), reason)
    }

    fn number(&self, text: Text<'_>) -> Outcome<u16> {
        if text.text.is_empty() {
            return Err(self.error(text, "a value is missing"));
        }
        if !text.text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.error(text, format!("{} is not a value", quoted(text.text))));
        }
        // What does not fit is out of range anyway.
        Ok(text.text.parse().unwrap_or(u16::MAX))
    }

    /// The value of a name: its first three letters or more, in any case.
    fn named(&self, text: &str) -> Option<u16> {
        let is_named = |name: &str| text.len() >= 3 && begins_with(name, text);
        let index = self.names.iter().position(|name| is_named(name))?;
        Some(index as u16 + self.named_from)
    }

    /// The name that two letters can only mean: `MO`.
    fn name_meant_by(&self, text: &str) -> Option<String> {
        let mut names = self.names.iter().filter(|name| text.len() == 2 && begins_with(name, text));
        let name = names.next()?;
        names.next().is_none().then(|| name[..3].to_ascii_uppercase())
    }

    fn too_short(&self, text: Text<'_>, short: Text<'_>, instead: impl fmt::Display) -> CronError {
        let short = quoted(short.text);
        self.error(
            text,
            format!("{short} is not a value: names have three letters, write {instead}"),
        )
    }

    /// A number or a name.
    fn value(&self, text: Text<'_>) -> Outcome<u16> {
        if let Some(value) = self.named(text.text) {
            return Ok(value);
        }
        if let Some(name) = self.name_meant_by(text.text) {
            return Err(self.too_short(text, text, name));
        }
        let value = self.number(text)?;
        if (self.least..=self.greatest).contains(&value) {
            return Ok(value);
        }
        let (least, greatest) = (self.least, self.greatest);
        let reason = format!("{} is out of range {least}-{greatest}", shortened(text.text));
        Err(self.error(text, reason))
    }

    /// `*`, a value or a range, with or without a step.
    fn range(&self, item: Text<'_>, dialect: Dialect) -> Outcome<Range> {
        let (base, step) = match item.split_once('/') {
            Some((base, step)) => (base, Some(step)),
            None => (item, None),
        };
        // Quartz lets `/5` stand for `*/5`.
        let is_implied = base.text.is_empty() && step.is_some() && dialect == Dialect::Quartz;
        let (start, end) = if base.text == "*" || is_implied {
            (self.least, self.greatest)
        } else if let Some((start, end)) = base.split_once('-') {
            let meant = (self.name_meant_by(start.text), self.name_meant_by(end.text));
            if let (Some(first), Some(last)) = meant {
                return Err(self.too_short(base, base, format!("{first}-{last}")));
            }
            // Names leave no doubt about what is meant by a range over the end.
            let wraps = dialect == Dialect::Quartz
                || self.named(start.text).is_some() && self.named(end.text).is_some();
            let (start, end) = (self.value(start)?, self.value(end)?);
            if end < start && (!wraps || self.name == YEAR.name) {
                return Err(self.backwards(base));
            }
            (start, end)
        } else {
            let value = self.value(base)?;
            (value, if step.is_some() { self.greatest } else { value })
        };
        let step = match step {
            None => 1,
            Some(text) => match self.number(text)? {
                0 => return Err(self.error(text, "a step must be at least 1")),
                step => step,
            },
        };
        Ok(Range { start, end, step })
    }

    fn backwards(&self, range: Text<'_>) -> CronError {
        let hint = if self.names.len() == 7 { "; at the end of a range Sunday is 7" } else { "" };
        self.error(range, format!("the range {} runs backwards{hint}", quoted(range.text)))
    }

    /// After how many values the field begins again. Of weekdays 7 is Sunday once more.
    fn cycle(&self) -> u16 {
        if self.names.len() == 7 { 7 } else { self.greatest - self.least + 1 }
    }

    /// The values of a range.
    fn members(&self, range: Range) -> impl Iterator<Item = u16> {
        let cycle = self.cycle();
        let end = if range.end < range.start { range.end + cycle } else { range.end };
        let (least, greatest) = (self.least, self.greatest);
        (range.start..=end).step_by(range.step.into()).map(move |value| {
            if value > greatest { least + (value - least) % cycle } else { value }
        })
    }

    /// A warning if the items of a field have a step that leaves the first value of several only.
    fn doubt(&self, text: Text<'_>, dialect: Dialect, warnings: &mut Vec<CronError>) {
        for item in text.split(',') {
            let Some((_, step)) = item.split_once('/') else { continue };
            let Ok(range) = self.range(item, dialect) else { continue };
            let end = if range.end < range.start { range.end + self.cycle() } else { range.end };
            if end == range.start || range.step <= end - range.start {
                continue;
            }
            let first = range.start;
            let unit = match self.name {
                "day-of-month" => "day",
                "day-of-week" => "weekday",
                name => name,
            };
            let every = match self.name {
                "second" => format!(", or `@every {}s` for a span of that length", step.text),
                "minute" => format!(", or `@every {}m` for a span of that length", step.text),
                "hour" => format!(", or `@every {}h` for a span of that length", step.text),
                "day-of-month" => format!(", or use CalendarInterval(days={})", step.text),
                "month" => format!(", or use CalendarInterval(months={})", step.text),
                _ => String::new(),
            };
            let reason = format!(
                "the step of {} leaves {unit} {first} only: write `{first}`{every}",
                quoted(item.text)
            );
            warnings.push(self.error(step, reason));
        }
    }

    /// A field of plain values, as bits.
    fn bits(&self, text: Text<'_>, dialect: Dialect) -> Outcome<u64> {
        let mut bits = 0;
        for item in text.split(',') {
            for value in self.members(self.range(item, dialect)?) {
                bits |= 1 << value;
            }
        }
        Ok(bits)
    }
}

/// Whether a name begins with a text, in any case.
fn begins_with(name: &str, text: &str) -> bool {
    name.get(..text.len()).is_some_and(|head| head.eq_ignore_ascii_case(text))
}

/// A number for an error message: long ones are cut.
fn shortened(text: &str) -> &str {
    &text[..text.len().min(24)]
}

fn years(text: Text<'_>, dialect: Dialect) -> Outcome<Years> {
    if text.text == "*" {
        return Ok(Years::all());
    }
    let mut years = Years::NONE;
    for item in text.split(',') {
        YEAR.members(YEAR.range(item, dialect)?).for_each(|year| years.insert(year.into()));
    }
    Ok(years)
}

fn days_of_month(text: Text<'_>, dialect: Dialect, days: &mut Days) -> Outcome<()> {
    let field = &DAY_OF_MONTH;
    if text.text == "?" {
        days.days = ALL_DAYS;
        return Ok(());
    }
    for item in text.split(',') {
        let weekday = item.strip_suffix("W");
        let base = weekday.unwrap_or(item);
        let is_weekday = weekday.is_some();
        if base.text.starts_with(['L', 'l']) {
            let before_last = days_before_last(field, base)?;
            *if is_weekday { &mut days.last_nearest } else { &mut days.last } |= 1 << before_last;
        } else if is_weekday {
            days.nearest |= 1 << field.value(base)?;
        } else {
            for day in field.members(field.range(item, dialect)?) {
                days.days |= 1 << day;
            }
        }
    }
    Ok(())
}

/// How many days before the last of the month `L` or `L-3` is: 0 to 30.
fn days_before_last(field: &Field, text: Text<'_>) -> Outcome<u16> {
    let rest = Text { text: &text.text[1..], position: text.position + 1 };
    if rest.text.is_empty() {
        return Ok(0);
    }
    match rest.split_once('-') {
        Some((between, days)) if between.text.is_empty() => match field.number(days)? {
            days @ 0..=30 => Ok(days),
            _ => Err(field.error(days, format!("{} is out of range 0-30", shortened(days.text)))),
        },
        _ => Err(field.error(text, format!("{} is not a value", quoted(text.text)))),
    }
}

fn days_of_week(text: Text<'_>, dialect: Dialect, days: &mut Days) -> Outcome<()> {
    let quartz = dialect == Dialect::Quartz;
    let field = if quartz { &QUARTZ_DAY_OF_WEEK } else { &DAY_OF_WEEK };
    // From the numbers of the dialect to bits from Sunday, which is 0 and 7, or 1.
    let bit = |value: u16| 1_u8 << ((value - field.named_from) % 7);
    if text.text == "?" {
        days.weekdays = ALL_WEEKDAYS;
        return Ok(());
    }
    for item in text.split(',') {
        if let Some((weekday, nth)) = item.split_once('#') {
            let set = bit(field.value(weekday)?);
            if nth.text.eq_ignore_ascii_case("L") {
                days.last_weekdays |= set;
                continue;
            }
            match field.number(nth)? {
                n @ 1..=5 => days.nth[usize::from(n) - 1] |= set,
                _ => {
                    let reason = format!("{} is out of range 1-5", shortened(nth.text));
                    return Err(field.error(nth, reason));
                }
            }
        } else if quartz && item.text.eq_ignore_ascii_case("L") {
            // Of the week, the last day is meant.
            days.weekdays |= bit(7);
        } else if let Some(weekday) = item.strip_suffix("L") {
            days.last_weekdays |= bit(field.value(weekday)?);
        } else {
            for value in field.members(field.range(item, dialect)?) {
                days.weekdays |= bit(value);
            }
        }
    }
    Ok(())
}

impl Cron {
    /// The longest expression that is read, in bytes.
    pub const MAX_LENGTH: usize = 1000;

    /// Reads an expression. At most some tens of microseconds, whatever it is.
    ///
    /// # Errors
    /// Longer than [`Self::MAX_LENGTH`], not of the grammar above, or a day that never comes, such
    /// as 30 February.
    pub fn parse(expression: &str, dialect: Dialect) -> Outcome<Parsed> {
        if expression.len() > Self::MAX_LENGTH {
            let reason = format!("longer than {} bytes", Self::MAX_LENGTH);
            return Err(CronError { field: None, position: Self::MAX_LENGTH, reason });
        }
        let whole = Text { text: expression, position: 0 };
        let end = Text { text: "", position: expression.trim_ascii_end().len() };
        let mut words: Vec<Text<'_>> = whole.words().collect();
        let zone = match words.first() {
            Some(&first) => zone_prefix(first)?,
            None => None,
        };
        if zone.is_some() {
            words.remove(0);
        }
        let mut warnings = Vec::new();
        let rule = match words.first() {
            None => return Err(end.error(None, "the expression is empty")),
            Some(first) if first.text.starts_with('@') => shorthand(&words, end)?,
            Some(_) => {
                let cron = fields(&words, end, dialect)?;
                warnings = doubts(&words, dialect);
                ParsedRule::Cron(Box::new(cron))
            }
        };
        Ok(Parsed { rule, zone: zone.map(str::to_owned), warnings })
    }
}

fn zone_prefix(word: Text<'_>) -> Outcome<Option<&str>> {
    for prefix in ["CRON_TZ=", "TZ="] {
        if let Some(zone) = word.text.strip_prefix(prefix) {
            if zone.is_empty() {
                let missing = Text { text: "", position: word.position + prefix.len() };
                return Err(missing.error(None, "the name of a time zone is missing"));
            }
            return Ok(Some(zone));
        }
    }
    Ok(None)
}

/// `@daily` and its kin, and `@every`: the same in both dialects.
fn shorthand(words: &[Text<'_>], end: Text<'_>) -> Outcome<ParsedRule> {
    let (name, rest) = (words[0], &words[1..]);
    let is_every = name.text.eq_ignore_ascii_case("@every");
    if let Some(surplus) = rest.get(usize::from(is_every)) {
        return Err(surplus.error(None, format!("{} is one word too many", quoted(surplus.text))));
    }
    if is_every {
        return match rest.first() {
            Some(&text) => duration(text).map(ParsedRule::Every),
            None => Err(end.error(None, "a duration is missing, such as `5m`")),
        };
    }
    let expansion = match name.text.to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            let reason = format!(
                "{} is none of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly, \
                 @every",
                quoted(name.text)
            );
            return Err(name.error(None, reason));
        }
    };
    let whole = Text { text: expansion, position: 0 };
    let words: Vec<Text<'_>> = whole.words().collect();
    fields(&words, end, Dialect::Vixie).map(|cron| ParsedRule::Cron(Box::new(cron)))
}

/// The fields of an expression, from its words.
fn fields(words: &[Text<'_>], end: Text<'_>, dialect: Dialect) -> Outcome<Cron> {
    let (least, expected) = match dialect {
        Dialect::Vixie => (5, "5, 6 or 7"),
        Dialect::Quartz => (6, "6 or 7"),
    };
    if !(least..=7).contains(&words.len()) {
        let place = words.get(7).copied().unwrap_or(end);
        let found = words.len();
        return Err(place.error(None, format!("{expected} fields are expected, not {found}")));
    }
    let has_seconds = words.len() > 5;
    let (second, rest) = if has_seconds { (Some(words[0]), &words[1..]) } else { (None, words) };
    let [minute, hour, day, month, weekday] = [rest[0], rest[1], rest[2], rest[3], rest[4]];
    let times = Times {
        seconds: second.map_or(Ok(1), |text| SECOND.bits(text, dialect))?,
        minutes: MINUTE.bits(minute, dialect)?,
        hours: HOUR.bits(hour, dialect)? as u32,
    };
    let open = |text: Text<'_>| text.text.starts_with(['*', '?']);
    let both = dialect == Dialect::Quartz || open(day) || open(weekday);
    let mut days = Days { both, ..Days::default() };
    days_of_month(day, dialect, &mut days)?;
    let months = MONTH.bits(month, dialect)? as u16;
    days_of_week(weekday, dialect, &mut days)?;
    if dialect == Dialect::Quartz && day.text == "?" && weekday.text == "?" {
        return Err(DAY_OF_WEEK.error(weekday, "`?` can stand in one of the day fields only"));
    }
    let years = rest.get(5).map_or(Ok(Years::all()), |&text| years(text, dialect))?;
    // Seconds refine a minute, and say nothing of it: `* 30 2 * * *` is a job of a fixed time.
    let real_time = minute.text.starts_with('*') || hour.text.starts_with('*');
    Cron::new(times, days, months, years, real_time).ok_or_else(|| {
        DAY_OF_MONTH.error(day, "no such day ever comes: the expression never fires")
    })
}

/// What is doubtful about the fields of an expression that was accepted.
fn doubts(words: &[Text<'_>], dialect: Dialect) -> Vec<CronError> {
    let weekday = if dialect == Dialect::Quartz { &QUARTZ_DAY_OF_WEEK } else { &DAY_OF_WEEK };
    let fields = [&SECOND, &MINUTE, &HOUR, &DAY_OF_MONTH, &MONTH, weekday, &YEAR];
    let skipped = usize::from(words.len() == 5);
    let mut warnings = Vec::new();
    for (field, &text) in fields[skipped..].iter().zip(words) {
        field.doubt(text, dialect, &mut warnings);
    }
    warnings
}

/// Units of a duration, as in Go, in nanoseconds.
const UNITS: [(&str, Nanos); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND_NS),
    ("m", 60 * SECOND_NS),
    ("h", 3600 * SECOND_NS),
];

/// A duration as in Go: `1h30m`, `10s`, `1.5h`, `500ms`.
fn duration(text: Text<'_>) -> Outcome<Nanos> {
    let invalid = |reason: &str| text.error(None, format!("{} {reason}", quoted(text.text)));
    let malformed = || invalid("is not a duration such as `1h30m` or `500ms`");
    let mut total: u128 = 0;
    let mut rest = text.text;
    while !rest.is_empty() {
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(length);
        let length = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (name, tail) = tail.split_at(length);
        let unit = UNITS.iter().find(|unit| unit.0 == name).ok_or_else(malformed)?.1;
        total += decimal(number, unit).ok_or_else(malformed)?;
        rest = tail;
    }
    match Nanos::try_from(total) {
        Ok(0) => Err(invalid("is no time at all")),
        Ok(span) if span < FAR_FUTURE => Ok(span),
        _ => Err(invalid("is too long")),
    }
}

/// `12.5` units in nanoseconds, rounded down. Digits beyond the eighteenth are refused.
fn decimal(number: &str, unit: Nanos) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || whole.len() > 18 || fraction.len() > 18 {
        return None;
    }
    let parse = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse().ok() };
    let (whole, part): (u128, u128) = (parse(whole)?, parse(fraction)?);
    let unit = u128::from(unit);
    Some(whole * unit + part * unit / 10_u128.pow(fraction.len() as u32))
}
