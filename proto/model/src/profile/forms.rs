//! From the forms of a Thing Model to a [`Plan`]: which foreign topics say what, and what actions and written
//! properties become.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use super::{
    Access, Action, Event, Property,
    parse::{Checked, Findings, Node, blank_property, refuse, shape},
    vocabulary::{FORM_TERMS, MQTT_NAMESPACE, MQTT_PREFIX, MQTT_TERMS, PREFIX, VARIABLE_MEMBERS},
};
use crate::{
    limits::{
        BODY_BYTES_MAX, FOREIGN_TOPIC_BYTES_MAX, FOREIGN_TOPICS_MAX, FORMS_MAX, POINTER_BYTES_MAX,
        TIMES_MAX, TITLE_BYTES_MAX, VARIABLE_BYTES_MAX, VARIABLE_LEVELS_MAX, VARIABLES_MAX,
        WORDS_MAX,
    },
    mapping::{
        Body, Command, Form, Leaf, Place, Plan, Reader, Route, Rule, SparkplugMessage, Target,
        Template, TemplateKind, TimeFormat, Told, Tree, Variable, Words, check_value,
    },
    profile::check_name,
    tree::{Json, step},
    value::{Kind, Value, whole},
};

/// What a profile declares, for its forms to refer to.
pub(super) struct Declared<'p> {
    pub(super) properties: &'p [Property],
    pub(super) events: &'p [Event],
    pub(super) actions: &'p [Action],
}

/// Reads every form that maps something; nothing when none does.
pub(super) fn plan(
    findings: &mut Findings,
    thing: &Node<'_>,
    declared: &Declared<'_>,
) -> Option<Plan> {
    let variables = findings.keep(variables(thing))?;
    let mut draft = Draft { variables: &variables, routes: Vec::new() };
    let mut written = Vec::new();
    for (property, at) in declared.properties.iter().zip(0u16..) {
        let kind = Some(property.shape.kind());
        for form in findings.keep(forms(thing, "properties", &property.name)).unwrap_or_default() {
            if writes(&form) {
                written.push((form, property, at));
            } else {
                let taken = draft.take(findings, &form, Place::Property(at), kind);
                findings.keep(taken);
            }
        }
    }
    for (event, at) in declared.events.iter().zip(0u16..) {
        for form in findings.keep(forms(thing, "events", &event.name)).unwrap_or_default() {
            let taken = draft.take(findings, &form, Place::Event(at), None);
            findings.keep(taken);
        }
    }
    for text in findings.keep(texts(thing, "hedgerow:passes")).unwrap_or_default() {
        let passed = draft.pass(thing, text);
        findings.keep(passed);
    }
    let mut commands = Vec::new();
    for (action, at) in declared.actions.iter().zip(0u16..) {
        let forms = findings.keep(forms(thing, "actions", &action.name)).unwrap_or_default();
        if forms.len() > 1 {
            let what = "an action becomes one message; leave one form with mqv:topic";
            findings.keep(refuse::<()>(&thing.at("actions"), what));
        }
        if let Some(form) = forms.first() {
            check_terms(findings, form);
            let action = action_node(thing, &action.name);
            let input = input(&action);
            let command = input.and_then(|input| asked(form, input, at, &variables));
            commands.extend(findings.keep(command));
        }
    }
    for (form, property, at) in &written {
        check_terms(findings, form);
        let is_first = commands.iter().all(|known: &Command| known.told != Told::Property(*at));
        let command = write(form, property, *at, is_first, &variables);
        commands.extend(findings.keep(command));
    }
    let filters = findings.keep(filters(thing, &variables))?;
    let routes: Option<Vec<Route>> =
        draft.routes.into_iter().map(|route| findings.keep(route.finish())).collect();
    let plan = Plan {
        variables: variables.clone().into(),
        routes: routes?.into(),
        commands: commands.into(),
        filters: filters.into(),
    };
    findings.keep(check_plan(thing, &plan))?;
    Some(plan)
}

fn check_plan(thing: &Node<'_>, plan: &Plan) -> Checked<()> {
    if plan.routes.len() > FOREIGN_TOPICS_MAX {
        return refuse("", format!("its forms have more than {FOREIGN_TOPICS_MAX} topics"));
    }
    let used = !plan.is_empty() || !plan.filters.is_empty();
    if !used && !plan.variables.is_empty() {
        return refuse(&thing.at("hedgerow:variables"), "no form uses them; remove them");
    }
    let Some(Json::Array(entries)) = thing.json.member("@context") else { return Ok(()) };
    let named: Vec<_> = entries.iter().filter_map(|entry| entry.member("mqv")).collect();
    if plan.is_empty() || named == [&Json::String(MQTT_NAMESPACE.into())] {
        return Ok(());
    }
    let what = format!("forms with mqv: terms need \"mqv\": \"{MQTT_NAMESPACE}\" beside hedgerow");
    refuse("/@context", what)
}

fn variables(thing: &Node<'_>) -> Checked<Vec<Variable>> {
    let pointer = thing.at("hedgerow:variables");
    let members = match thing.json.member("hedgerow:variables") {
        None => return Ok(Vec::new()),
        Some(Json::Object(members)) if members.len() <= VARIABLES_MAX => members,
        Some(_) => {
            let what = format!("it must be an object with up to {VARIABLES_MAX} variables");
            return refuse(&pointer, what);
        }
    };
    let variable = |(name, json): &(Box<str>, Json)| {
        let node = Node { pointer: step(&pointer, name), json };
        let Json::Object(said) = json else { return refuse(&node.pointer, "it must be an object") };
        if !check_name(name) {
            return refuse(&node.pointer, "a variable is a letter, then letters, digits, - and _");
        }
        if let Some((other, _)) = said.iter().find(|(said, _)| !VARIABLE_MEMBERS.contains(&&**said))
        {
            let known = VARIABLE_MEMBERS.join(", ");
            return refuse(&node.at(other), format!("it is not known here; known are {known}"));
        }
        let most = u32::try_from(VARIABLE_LEVELS_MAX).unwrap_or(u32::MAX);
        let levels = node.whole_in("levels", 1.0, f64::from(most))?;
        Ok(Variable {
            name: name.clone(),
            title: node.text("title", TITLE_BYTES_MAX)?.unwrap_or_default(),
            levels_max: levels.map_or(1, |levels| levels as usize),
            default: match node.text("default", VARIABLE_BYTES_MAX)? {
                None => None,
                Some(value) => {
                    let checked = check_value(&value).map(|()| value);
                    Some(checked.or_else(|why| refuse(&node.at("default"), why))?)
                }
            },
        })
    };
    members.iter().map(variable).collect()
}

fn action_node<'t>(thing: &Node<'t>, name: &str) -> Node<'t> {
    static NOTHING: Json = Json::Null;
    let actions = thing.json.member("actions");
    let json = actions.and_then(|actions| actions.member(name)).unwrap_or(&NOTHING);
    Node { pointer: step("/actions", name), json }
}

/// The forms of an affordance that map something; others are passed over.
fn forms<'t>(thing: &Node<'t>, section: &str, name: &str) -> Checked<Vec<Node<'t>>> {
    let pointer = step(&step(&thing.at(section), name), "forms");
    let affordance = thing.json.member(section).and_then(|section| section.member(name));
    let items = match affordance.and_then(|affordance| affordance.member("forms")) {
        None => return Ok(Vec::new()),
        Some(Json::Array(items)) => items,
        Some(_) => return refuse(&pointer, "it must be an array of forms"),
    };
    let node = |(at, json)| Node { pointer: step(&pointer, &format!("{at}")), json };
    let maps = |node: &Node<'_>| match node.json {
        Json::Object(members) => members
            .iter()
            .any(|(name, _)| name.starts_with(PREFIX) || name.starts_with(MQTT_PREFIX)),
        _ => false,
    };
    let forms: Vec<Node<'t>> = items.iter().enumerate().map(node).filter(maps).collect();
    if forms.len() > FORMS_MAX {
        return refuse(&pointer, format!("more than {FORMS_MAX} of its forms map something"));
    }
    Ok(forms)
}

fn check_terms(findings: &mut Findings, form: &Node<'_>) {
    form.check_terms(findings, &FORM_TERMS);
    let Json::Object(members) = form.json else { return };
    let unknown = |name: &str| name.starts_with(MQTT_PREFIX) && !MQTT_TERMS.contains(&name);
    for (name, _) in members.iter().filter(|(name, _)| unknown(name)) {
        let what = format!("this term is not known here; known are {}", MQTT_TERMS.join(", "));
        findings.keep(refuse::<()>(&form.at(name), what));
    }
}

/// One string, or an array of them.
fn texts<'t>(node: &Node<'t>, member: &str) -> Checked<Vec<&'t str>> {
    let what = "it must be a string or an array of strings";
    match node.json.member(member) {
        None => Ok(Vec::new()),
        Some(Json::String(text)) => Ok(alloc::vec![&**text]),
        Some(Json::Array(items)) if items.len() <= FOREIGN_TOPICS_MAX => {
            let text = |item: &'t Json| match item {
                Json::String(text) => Ok(&**text),
                _ => refuse(&node.at(member), what),
            };
            items.iter().map(text).collect()
        }
        Some(_) => refuse(&node.at(member), what),
    }
}

fn template(
    pointer: &str,
    text: &str,
    kind: TemplateKind,
    variables: &[Variable],
) -> Checked<Template> {
    if text.len() > FOREIGN_TOPIC_BYTES_MAX {
        return refuse(pointer, format!("a topic has up to {FOREIGN_TOPIC_BYTES_MAX} bytes"));
    }
    Template::parse(text, kind, variables).or_else(|why| refuse(pointer, why))
}

fn filters(thing: &Node<'_>, variables: &[Variable]) -> Checked<Vec<Template>> {
    let pointer = thing.at("hedgerow:subscribes");
    let texts = texts(thing, "hedgerow:subscribes")?;
    let read = texts.into_iter().map(|text| {
        let filter = template(&pointer, text, TemplateKind::Filter, variables)?;
        if !filter.has_variables() {
            return refuse(&pointer, "a filter has a variable, so that it is of one device");
        }
        Ok(filter)
    });
    read.collect()
}

/// What `op` and `mqv:controlPacket` may say; both may be left out.
fn check_act(form: &Node<'_>, ops: &[&str], packet: &str) -> Checked<()> {
    for op in texts(form, "op")? {
        if !ops.contains(&op) {
            return refuse(&form.at("op"), format!("here it must be {}", ops.join(" or ")));
        }
    }
    match form.text("mqv:controlPacket", TITLE_BYTES_MAX)? {
        Some(said) if *said != *packet && *said != *format!("mqv:{packet}") => {
            refuse(&form.at("mqv:controlPacket"), format!("here it must be {packet}"))
        }
        _ => Ok(()),
    }
}

/// How a payload is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Json,
    Text,
    Sparkplug,
}

fn payload(form: &Node<'_>) -> Checked<Option<Written>> {
    match form.text("hedgerow:payload", TITLE_BYTES_MAX)?.as_deref() {
        None => Ok(None),
        Some("json") => Ok(Some(Written::Json)),
        Some("text") => Ok(Some(Written::Text)),
        Some("sparkplug-b") => Ok(Some(Written::Sparkplug)),
        Some(_) => refuse(&form.at("hedgerow:payload"), "it must be json, text or sparkplug-b"),
    }
}

fn rule(form: &Node<'_>) -> Checked<Rule> {
    let scale = form.number("hedgerow:scale")?.unwrap_or(1.0);
    if scale.to_bits() << 1 == 0 {
        return refuse(&form.at("hedgerow:scale"), "a scale of 0 leaves nothing of the value");
    }
    let offset = form.number("hedgerow:offset")?.unwrap_or(0.0);
    let constant = match form.json.member("hedgerow:constant") {
        None => None,
        Some(json) => Some(value(json).ok_or(()).or_else(|()| {
            refuse(&form.at("hedgerow:constant"), "it must be a boolean, a number or a string")
        })?),
    };
    Ok(Rule { words: words(form)?, scale, offset, constant })
}

fn words(form: &Node<'_>) -> Checked<Words> {
    let pointer = form.at("hedgerow:words");
    let wrong = || {
        let what = format!("it must be an object with 1 to {WORDS_MAX} words and their values");
        refuse(&pointer, what)
    };
    let members = match form.json.member("hedgerow:words") {
        None => return Ok(Box::default()),
        Some(Json::Object(members)) if (1..=WORDS_MAX).contains(&members.len()) => members,
        Some(_) => return wrong(),
    };
    let pair = |(word, json): &(Box<str>, Json)| value(json).map(|value| (word.clone(), value));
    let Some(mut words) = members.iter().map(pair).collect::<Option<Vec<_>>>() else {
        return wrong();
    };
    words.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    Ok(words.into())
}

fn value(json: &Json) -> Option<Value> {
    match json {
        Json::Boolean(truth) => Some(Value::Boolean(*truth)),
        Json::Number(number) => Some(whole(*number).map_or(Value::Number(*number), Value::Integer)),
        Json::String(text) => Some(Value::Text(text.clone())),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// The routes as far as they are read.
struct Draft<'v> {
    variables: &'v [Variable],
    routes: Vec<DraftRoute>,
}

struct DraftRoute {
    topic: Template,
    pointer: String,
    written: Option<Written>,
    targets: Vec<Target>,
    kinds: Vec<Option<Kind>>,
    tree: Tree,
    times: Vec<(Box<str>, TimeFormat)>,
    metrics: Vec<(Box<str>, u16)>,
}

impl Draft<'_> {
    /// Adds what a form of a property or event takes.
    fn take(
        &mut self,
        findings: &mut Findings,
        form: &Node<'_>,
        place: Place,
        kind: Option<Kind>,
    ) -> Checked<()> {
        check_terms(findings, form);
        let ops: &[&str] = match place {
            Place::Property(_) => &["observeproperty", "readproperty"],
            Place::Event(_) => &["subscribeevent"],
        };
        check_act(form, ops, "subscribe")?;
        if form.json.member("mqv:topic").is_some() || form.json.member("hedgerow:body").is_some() {
            let what = "mqv:topic and hedgerow:body are for actions and for writeproperty; here it is mqv:filter";
            return refuse(&form.pointer, what);
        }
        let topics = texts(form, "mqv:filter")?;
        if topics.is_empty() || topics.len() > FORMS_MAX {
            let what = format!("it must name 1 to {FORMS_MAX} topics, without wildcards");
            return refuse(&form.at("mqv:filter"), what);
        }
        let written = payload(form)?.unwrap_or(Written::Json);
        let taken = Part::read(form, written, place, kind)?;
        for text in topics {
            let pointer = form.at("mqv:filter");
            let topic = template(&pointer, text, TemplateKind::Topic, self.variables)?;
            self.route(topic, pointer, Some(written))?.add(form, place, kind, &taken)?;
        }
        Ok(())
    }

    fn pass(&mut self, thing: &Node<'_>, text: &str) -> Checked<()> {
        let pointer = thing.at("hedgerow:passes");
        let topic = template(&pointer, text, TemplateKind::Topic, self.variables)?;
        self.route(topic, pointer, None).map(drop)
    }

    fn route(
        &mut self,
        topic: Template,
        pointer: String,
        written: Option<Written>,
    ) -> Checked<&mut DraftRoute> {
        let known = self.routes.iter().position(|route| route.topic == topic);
        let at = match known {
            Some(at) => at,
            None => {
                self.routes.push(DraftRoute {
                    topic,
                    pointer: pointer.clone(),
                    written,
                    targets: Vec::new(),
                    kinds: Vec::new(),
                    tree: Tree::default(),
                    times: Vec::new(),
                    metrics: Vec::new(),
                });
                self.routes.len() - 1
            }
        };
        match self.routes.get_mut(at) {
            Some(route) if route.written == written => Ok(route),
            _ => refuse(&pointer, "another form reads the same topic in another way"),
        }
    }
}

/// What a form says beside its topics.
struct Part {
    rule: Rule,
    pointer: Option<Box<str>>,
    metric: Option<Box<str>>,
    time: Option<(Box<str>, TimeFormat)>,
}

impl Part {
    fn read(form: &Node<'_>, written: Written, place: Place, kind: Option<Kind>) -> Checked<Self> {
        let part = Self {
            rule: rule(form)?,
            pointer: form.text("hedgerow:pointer", POINTER_BYTES_MAX)?,
            metric: form.text("hedgerow:metric", POINTER_BYTES_MAX)?,
            time: time(form)?,
        };
        let is_constant = part.rule.constant.is_some();
        let only = |given: bool, term: &str, allowed: bool, what: &str| match given && !allowed {
            true => refuse(&form.at(term), what),
            false => Ok(()),
        };
        let is_json = written == Written::Json && !is_constant;
        only(part.pointer.is_some(), "hedgerow:pointer", is_json, "only JSON has places")?;
        only(part.time.is_some(), "hedgerow:time", is_json, "only JSON has places")?;
        let is_sparkplug = written == Written::Sparkplug && !is_constant;
        only(
            part.metric.is_some(),
            "hedgerow:metric",
            is_sparkplug,
            "only Sparkplug B has metrics",
        )?;
        if is_sparkplug && part.metric.is_none() {
            return refuse(&form.at("hedgerow:metric"), "it is missing; name the metric");
        }
        let is_number = matches!(kind, Some(Kind::Integer | Kind::Number));
        let scales = form.json.member("hedgerow:scale").is_some()
            || form.json.member("hedgerow:offset").is_some();
        only(scales, "hedgerow:scale", is_number, "only a number has a scale and an offset")?;
        let is_property = matches!(place, Place::Property(_));
        only(
            !part.rule.words.is_empty(),
            "hedgerow:words",
            is_property,
            "an event stays as it is",
        )?;
        Ok(part)
    }
}

fn time(form: &Node<'_>) -> Checked<Option<(Box<str>, TimeFormat)>> {
    let format = match form.text("hedgerow:timeFormat", TITLE_BYTES_MAX)?.as_deref() {
        None | Some("rfc3339") => TimeFormat::Rfc3339,
        Some("seconds") => TimeFormat::Seconds,
        Some("milliseconds") => TimeFormat::Milliseconds,
        Some(_) => {
            let what = "it must be rfc3339, seconds or milliseconds";
            return refuse(&form.at("hedgerow:timeFormat"), what);
        }
    };
    let pointer = form.text("hedgerow:time", POINTER_BYTES_MAX)?;
    Ok(pointer.map(|pointer| (pointer, format)))
}

impl DraftRoute {
    fn add(
        &mut self,
        form: &Node<'_>,
        place: Place,
        kind: Option<Kind>,
        part: &Part,
    ) -> Checked<()> {
        let at = u16::try_from(self.targets.len()).unwrap_or(u16::MAX);
        let time = match &part.time {
            Some(time) => Some(self.time(form, time)?),
            None => None,
        };
        if let Some(metric) = &part.metric {
            if self.metrics.iter().any(|(known, _)| known == metric) {
                let what = "another form takes the same metric of this topic";
                return refuse(&form.at("hedgerow:metric"), what);
            }
            self.metrics.push((metric.clone(), at));
        } else if self.written == Some(Written::Json) && part.rule.constant.is_none() {
            let pointer = part.pointer.as_deref().unwrap_or_default();
            let added = self.tree.add(pointer, Leaf::Target(at));
            added.or_else(|why| refuse(&form.at("hedgerow:pointer"), why))?;
        }
        self.targets.push(Target { place, rule: part.rule.clone(), time });
        self.kinds.push(kind);
        Ok(())
    }

    fn time(&mut self, form: &Node<'_>, time: &(Box<str>, TimeFormat)) -> Checked<u8> {
        if let Some(at) = self.times.iter().position(|known| known == time) {
            return Ok(u8::try_from(at).unwrap_or(u8::MAX));
        }
        let at = self.times.len();
        if at == TIMES_MAX {
            let what = format!("the forms of a topic have up to {TIMES_MAX} places of times");
            return refuse(&form.at("hedgerow:time"), what);
        }
        let at = u8::try_from(at).unwrap_or(u8::MAX);
        let added = self.tree.add(&time.0, Leaf::Time(at));
        added.or_else(|why| refuse(&form.at("hedgerow:time"), why))?;
        self.times.push(time.clone());
        Ok(at)
    }

    fn finish(mut self) -> Checked<Route> {
        let reader = match self.written {
            None => Reader::Pass,
            Some(Written::Json) => Reader::Json(self.tree),
            Some(Written::Text) => Reader::Text(self.kinds.into()),
            Some(Written::Sparkplug) => {
                self.metrics.sort_unstable();
                Reader::Sparkplug(message(&self.pointer, &self.topic)?, self.metrics.into())
            }
        };
        let times = self.times.into_iter().map(|(_, format)| format).collect();
        Ok(Route { topic: self.topic, reader, targets: self.targets.into(), times })
    }
}

/// A Sparkplug topic is `spBv1.0/{group}/{message}/{node}`, with the device behind it or not (Sparkplug
/// 3.0, chapter 4).
fn message(pointer: &str, topic: &Template) -> Checked<SparkplugMessage> {
    let mut levels = topic.text().split('/');
    let is_sparkplug = levels.next() == Some("spBv1.0");
    match levels.nth(1) {
        Some("NBIRTH") if is_sparkplug => Ok(SparkplugMessage::NodeBirth),
        Some("DBIRTH") if is_sparkplug => Ok(SparkplugMessage::DeviceBirth),
        Some("NDATA" | "DDATA") if is_sparkplug => Ok(SparkplugMessage::Data),
        Some("NDEATH" | "DDEATH") if is_sparkplug => Ok(SparkplugMessage::Death),
        _ => refuse(
            pointer,
            "a Sparkplug B topic is spBv1.0/GROUP/MESSAGE/NODE with the message NBIRTH, NDATA, NDEATH, DBIRTH, DDATA or DDEATH",
        ),
    }
}

/// Whether a form of a property says how it is written.
fn writes(form: &Node<'_>) -> bool {
    texts(form, "op").is_ok_and(|ops| ops.contains(&"writeproperty"))
}

/// What an action needs to be told.
fn input(action: &Node<'_>) -> Checked<Option<Property>> {
    let Some(json) = action.json.member("input") else { return Ok(None) };
    let node = Node { pointer: action.at("input"), json };
    Ok(Some(blank_property(shape(&node)?)))
}

/// What an action becomes.
fn asked(
    form: &Node<'_>,
    input: Option<Property>,
    at: u16,
    variables: &[Variable],
) -> Checked<Command> {
    check_act(form, &["invokeaction"], "publish")?;
    command(form, Told::Action(at), input, variables)
}

/// What a new value of a property becomes.
fn write(
    form: &Node<'_>,
    property: &Property,
    at: u16,
    is_first: bool,
    variables: &[Variable],
) -> Checked<Command> {
    check_act(form, &["writeproperty"], "publish")?;
    if property.access == Access::ReadOnly {
        return refuse(&form.at("op"), "the property is readOnly; take away one of the two");
    }
    if !is_first {
        return refuse(&form.at("op"), "a value becomes one message; leave one form that writes");
    }
    let input = blank_property(property.shape.clone());
    let command = command(form, Told::Property(at), Some(input), variables)?;
    match &command.body {
        Body::Around(..) | Body::Metric(_, None) => Ok(command),
        Body::Fixed(_) | Body::Metric(_, Some(_)) => {
            refuse(&form.pointer, "the value does not stand in it; write {input} in hedgerow:body")
        }
    }
}

fn command(
    form: &Node<'_>,
    told: Told,
    input: Option<Property>,
    variables: &[Variable],
) -> Checked<Command> {
    if form.json.member("mqv:filter").is_some() || form.json.member("hedgerow:pointer").is_some() {
        let what =
            "mqv:filter and hedgerow:pointer are for what the device says; here it is mqv:topic";
        return refuse(&form.pointer, what);
    }
    let pointer = form.at("mqv:topic");
    let [topic] = texts(form, "mqv:topic")?[..] else {
        return refuse(&pointer, "it is missing; name the topic that the device listens to");
    };
    let topic = template(&pointer, topic, TemplateKind::Topic, variables)?;
    let rule = rule(form)?;
    let usual = if matches!(told, Told::Property(_)) { INPUT } else { "" };
    let body = body(form, &rule, input.is_some(), usual)?;
    Ok(Command { told, topic, body, input: input.map(Box::new), rule })
}

/// Where the input stands in the body of a command.
const INPUT: &str = "{input}";

fn body(form: &Node<'_>, rule: &Rule, has_input: bool, usual: &str) -> Checked<Body> {
    let pointer = form.at("hedgerow:body");
    let needs = |is_needed: bool| match (is_needed, has_input) {
        (true, false) => refuse(&pointer, "the action declares no input; give it a data schema"),
        _ => Ok(()),
    };
    let written = payload(form)?;
    if written == Some(Written::Sparkplug) {
        let Some(metric) = form.text("hedgerow:metric", POINTER_BYTES_MAX)? else {
            return refuse(&form.at("hedgerow:metric"), "it is missing; name the metric");
        };
        needs(rule.constant.is_none())?;
        return Ok(Body::Metric(metric, rule.constant.clone()));
    }
    if rule.constant.is_some() {
        let what = "what is always the same stands in hedgerow:body";
        return refuse(&form.at("hedgerow:constant"), what);
    }
    let text = form.text("hedgerow:body", BODY_BYTES_MAX)?.unwrap_or_else(|| usual.into());
    let form = if written == Some(Written::Json) { Form::Json } else { Form::Text };
    match text.split_once(INPUT) {
        None => Ok(Body::Fixed(text)),
        Some((_, after)) if after.contains(INPUT) => {
            refuse(&pointer, "the input stands in it once at most")
        }
        Some((before, after)) => {
            needs(true)?;
            Ok(Body::Around(before.into(), after.into(), form))
        }
    }
}
