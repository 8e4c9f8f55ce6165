//! What the API server of the tests answers: discovery, lists, watches, reviews of tokens, and
//! refusals in the API's own form (`metav1.Status`).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::State;
use super::objects::{RESOURCES, Resource, Selected};
use super::table::{self, Form};

/// An answer with its HTTP status and further headers.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

/// What is done with a request.
#[derive(Debug)]
pub(super) enum Does {
    Answer(Answer),
    Watch(Watch),
}

/// A watch that was asked for.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) selected: Selected,
    pub(super) form: Form,
    /// Everything up to here was seen.
    pub(super) after: u64,
    /// What is held now is told first, as new.
    pub(super) initial: bool,
    /// The end of what is told first is marked.
    pub(super) marks_initial: bool,
    pub(super) bookmarks: bool,
    pub(super) seconds: Option<u64>,
}

/// A request, taken apart.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: Vec<(String, String)>,
    pub(super) accept: &'a str,
    pub(super) token: Option<&'a str>,
    pub(super) body: &'a [u8],
}

impl Request<'_> {
    fn asked(&self, key: &str) -> Option<&str> {
        let found = self.query.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn says(&self, key: &str) -> bool {
        matches!(self.asked(key), Some("true" | "1"))
    }
}

fn json_answer(status: u16, body: &Value) -> Answer {
    let headers = vec![("content-type", "application/json".to_owned())];
    Answer { status, headers, body: format!("{body}\n").into_bytes() }
}

fn text(status: u16, body: &str) -> Answer {
    let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
    Answer { status, headers, body: body.as_bytes().to_vec() }
}

/// A refusal in the API's own form.
pub(super) fn refusal(code: u16, reason: &str, message: &str, details: Option<Value>) -> Answer {
    json_answer(code, &status(code, reason, message, details))
}

/// A refusal as an object.
pub(super) fn status(code: u16, reason: &str, message: &str, details: Option<Value>) -> Value {
    let mut body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    });
    if let Some(details) = details {
        body["details"] = details;
    }
    body
}

/// Too much is asked; in `seconds` one may ask again.
pub(super) fn too_many_requests(seconds: u64) -> Answer {
    let message = "the server has received too many requests and has asked us to try again later";
    let details = json!({ "retryAfterSeconds": seconds });
    let mut answer = refusal(429, "TooManyRequests", message, Some(details));
    answer.headers.push(("retry-after", seconds.to_string()));
    answer
}

/// Changes that are no longer there.
pub(super) fn gone(asked: u64, oldest: u64) -> Value {
    status(410, "Expired", &format!("too old resource version: {asked} ({oldest})"), None)
}

/// What is done with a request.
pub(super) fn answer(state: &mut State, request: &Request<'_>, now: Timestamp) -> Does {
    let user = match user(state, request, now) {
        Ok(user) => user,
        Err(()) => return Does::Answer(refusal(401, "Unauthorized", "Unauthorized", None)),
    };
    let parts: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
    let answer = match (request.method, parts.as_slice()) {
        ("GET", ["healthz" | "livez" | "readyz"]) => text(200, "ok"),
        ("GET", ["version"]) => json_answer(200, &version()),
        ("GET", ["openid", "v1", "jwks"]) => {
            let mut answer = json_answer(200, &state.issuer.jwks());
            answer.headers = vec![("content-type", "application/jwk-set+json".to_owned())];
            answer
        }
        ("GET", [".well-known", "openid-configuration"]) => json_answer(
            200,
            &json!({
                "issuer": state.issuer.name,
                "jwks_uri": format!("{}/openid/v1/jwks", state.issuer.name),
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            }),
        ),
        ("GET", ["api"]) => json_answer(
            200,
            &json!({
                "kind": "APIVersions",
                "versions": ["v1"],
                "serverAddressByClientCIDRs": [],
            }),
        ),
        ("GET", ["apis"]) => json_answer(200, &groups()),
        ("GET", ["api", "v1"]) => json_answer(200, &resources("")),
        ("GET", ["apis", group, "v1"]) if GROUPS.contains(group) => {
            json_answer(200, &resources(group))
        }
        ("POST", ["apis", "authentication.k8s.io", "v1", "tokenreviews"]) => {
            match allowed(state, &user, "create", "tokenreviews.authentication.k8s.io", None) {
                Ok(()) => review(state, request, now),
                Err(refused) => refused,
            }
        }
        ("POST", ["apis", "authentication.k8s.io", "v1", "selfsubjectreviews"]) => json_answer(
            201,
            &json!({
                "kind": "SelfSubjectReview",
                "apiVersion": "authentication.k8s.io/v1",
                "metadata": { "creationTimestamp": super::objects::seconds(now) },
                "status": { "userInfo": user },
            }),
        ),
        (method, ["api", "v1", rest @ ..]) => {
            return object(state, request, &user, method, "", rest, now);
        }
        (method, ["apis", group, "v1", rest @ ..]) => {
            return object(state, request, &user, method, group, rest, now);
        }
        _ => text(404, "404 page not found\n"),
    };
    Does::Answer(answer)
}

/// Who asks: a user of a static token, or the service account of one that was issued.
fn user(state: &State, request: &Request<'_>, now: Timestamp) -> Result<Value, ()> {
    let Some(token) = request.token else {
        let open = ["/healthz", "/livez", "/readyz", "/version"].contains(&request.path);
        let anonymous =
            json!({ "username": "system:anonymous", "groups": ["system:unauthenticated"] });
        return if open { Ok(anonymous) } else { Err(()) };
    };
    if let Some(name) = state.users.get(token) {
        return Ok(json!({ "username": name, "groups": ["system:authenticated"] }));
    }
    let own = [state.issuer.name.clone()];
    state.issuer.review(token, &own, &state.objects, now).map(|(user, _)| user).map_err(|_| ())
}

fn allowed(
    state: &State,
    user: &Value,
    verb: &str,
    resource: &str,
    namespace: Option<&str>,
) -> Result<(), Answer> {
    let name = user["username"].as_str().unwrap_or_default();
    if state.rights.may(name, verb, resource) {
        return Ok(());
    }
    let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
    let place = match namespace {
        Some(namespace) => format!("in the namespace \"{namespace}\""),
        None => "at the cluster scope".to_owned(),
    };
    let message = format!(
        "{resource} is forbidden: User \"{name}\" cannot {verb} resource \"{plural}\" in API group \"{group}\" {place}"
    );
    let mut details = json!({ "kind": plural });
    if !group.is_empty() {
        details["group"] = json!(group);
    }
    Err(refusal(403, "Forbidden", &message, Some(details)))
}

/// Groups that are served beside the core.
const GROUPS: [&str; 3] = ["authentication.k8s.io", "coordination.k8s.io", "policy"];

fn groups() -> Value {
    let groups = GROUPS.map(|group| {
        let version = json!({ "groupVersion": format!("{group}/v1"), "version": "v1" });
        json!({ "name": group, "versions": [version], "preferredVersion": version })
    });
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

fn resources(group: &str) -> Value {
    let served = RESOURCES.into_iter().filter(|one| one.group == group).map(|one| {
        json!({
            "name": one.plural,
            "singularName": one.singular,
            "namespaced": one.namespaced,
            "kind": one.kind,
            "verbs": ["get", "list", "watch"],
            "shortNames": match one.kind {
                "Node" => json!(["no"]),
                "Pod" => json!(["po"]),
                "Event" => json!(["ev"]),
                "Namespace" => json!(["ns"]),
                "PodDisruptionBudget" => json!(["pdb"]),
                _ => json!([]),
            },
        })
    });
    let mut served: Vec<Value> = served.collect();
    if group == "authentication.k8s.io" {
        for (name, kind) in
            [("selfsubjectreviews", "SelfSubjectReview"), ("tokenreviews", "TokenReview")]
        {
            served.push(json!({
                "name": name, "singularName": "", "namespaced": false, "kind": kind,
                "verbs": ["create"],
            }));
        }
    }
    let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": served })
}

fn version() -> Value {
    json!({ "major": "1", "minor": "34", "gitVersion": "v1.34.9", "platform": "linux/amd64" })
}

fn review(state: &State, request: &Request<'_>, now: Timestamp) -> Answer {
    let Ok(mut body) = serde_json::from_slice::<Value>(request.body) else {
        return refusal(400, "BadRequest", "the object provided is unrecognized", None);
    };
    let token = body["spec"]["token"].as_str().unwrap_or_default();
    let asked = body["spec"]["audiences"].as_array().into_iter().flatten();
    let mut audiences: Vec<String> = asked.filter_map(Value::as_str).map(str::to_owned).collect();
    if audiences.is_empty() {
        audiences.push(state.issuer.name.clone());
    }
    body["status"] = match state.issuer.review(token, &audiences, &state.objects, now) {
        Ok((mut user, audiences)) => {
            if !state.tells_nodes {
                let extra = user["extra"].as_object_mut();
                extra.into_iter().for_each(|extra| extra.retain(|key, _| !key.contains("/node-")));
            }
            let mut yes = json!({ "authenticated": true, "user": user });
            if state.tells_audiences {
                yes["audiences"] = json!(audiences);
            }
            yes
        }
        Err(error) => json!({ "user": {}, "error": error }),
    };
    json_answer(201, &body)
}

fn object(
    state: &mut State,
    request: &Request<'_>,
    user: &Value,
    method: &str,
    group: &str,
    rest: &[&str],
    now: Timestamp,
) -> Does {
    let (namespace, plural, name) = match rest {
        ["namespaces", namespace, plural] => (Some(*namespace), *plural, None),
        ["namespaces", namespace, plural, name] => (Some(*namespace), *plural, Some(*name)),
        [plural] => (None, *plural, None),
        [plural, name] => (None, *plural, Some(*name)),
        _ => ("".into(), "", None),
    };
    let Some(resource) = Resource::in_path(group, plural) else {
        return Does::Answer(text(404, "404 page not found\n"));
    };
    if method != "GET" {
        let message = "the server does not allow this method on the requested resource";
        return Does::Answer(refusal(405, "MethodNotAllowed", message, None));
    }
    let watches = request.says("watch");
    let verb = match (name, watches) {
        (Some(_), false) => "get",
        (_, true) => "watch",
        (None, false) => "list",
    };
    if let Err(refused) = allowed(state, user, verb, &resource.qualified(), namespace) {
        return Does::Answer(refused);
    }
    let form = Form::accepted(request.accept);
    if let (Some(name), false) = (name, watches) {
        let found = state.objects.get(resource, namespace.unwrap_or_default(), name);
        return Does::Answer(match found {
            Some(object) => json_answer(200, &table::one(form, resource, object, true, now)),
            None => {
                let mut details = json!({ "name": name, "kind": plural });
                if !group.is_empty() {
                    details["group"] = json!(group);
                }
                let message = format!("{} \"{name}\" not found", resource.qualified());
                refusal(404, "NotFound", &message, Some(details))
            }
        });
    }
    let mut fields = pairs(request.asked("fieldSelector"));
    fields.extend(name.map(|name| ("metadata.name".to_owned(), name.to_owned())));
    let selected = Selected {
        resource,
        namespace: namespace.unwrap_or_default().to_owned(),
        fields,
        labels: pairs(request.asked("labelSelector")),
    };
    if watches {
        watch(state, request, selected, form)
    } else {
        list(state, request, &selected, form, now)
    }
}

fn watch(state: &State, request: &Request<'_>, selected: Selected, form: Form) -> Does {
    let asked = match request.asked("resourceVersion").map(str::parse::<u64>) {
        None => 0,
        Some(Ok(asked)) => asked,
        Some(Err(_)) => {
            return Does::Answer(refusal(400, "BadRequest", "invalid resource version", None));
        }
    };
    let marks_initial = request.says("sendInitialEvents");
    let initial = asked == 0 || marks_initial;
    Does::Watch(Watch {
        selected,
        form,
        after: if initial { state.objects.revision() } else { asked },
        initial,
        marks_initial,
        bookmarks: request.says("allowWatchBookmarks"),
        seconds: request.asked("timeoutSeconds").and_then(|text| text.parse().ok()),
    })
}

fn list(
    state: &State,
    request: &Request<'_>,
    selected: &Selected,
    form: Form,
    now: Timestamp,
) -> Does {
    let objects = &state.objects;
    let all = objects.list(selected);
    let limit = request.asked("limit").and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    let mut revision = objects.revision();
    let mut start = 0;
    // REVISION:PLACE, opaque to whoever asks.
    if let Some(token) = request.asked("continue") {
        let parts = token
            .split_once(':')
            .and_then(|(at, place)| Some((at.parse().ok()?, place.parse().ok()?)));
        let Some((at, place)) = parts else {
            return Does::Answer(refusal(400, "BadRequest", "continue key is not valid", None));
        };
        if at < objects.compacted() {
            let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.";
            return Does::Answer(refusal(410, "Expired", message, None));
        }
        (revision, start) = (at, place);
    } else if request.asked("resourceVersionMatch") == Some("Exact") {
        let exact =
            request.asked("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0);
        if exact < objects.compacted() {
            return Does::Answer(json_answer(410, &gone(exact, objects.compacted())));
        }
    }
    let page: Vec<&Value> = all.iter().skip(start).take(limit).copied().collect();
    let end = start + page.len();
    let mut metadata = json!({ "resourceVersion": revision.to_string() });
    if end < all.len() {
        metadata["continue"] = json!(format!("{revision}:{end}"));
        metadata["remainingItemCount"] = json!(all.len() - end);
    }
    Does::Answer(json_answer(200, &table::list(form, selected.resource, &page, &metadata, now)))
}

/// `a=b,c=d`.
fn pairs(selector: Option<&str>) -> Vec<(String, String)> {
    let parts = selector.unwrap_or_default().split(',').filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (name.to_owned(), value.trim_start_matches('=').to_owned())
    };
    parts.map(pair).collect()
}
