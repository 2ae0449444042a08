//! What a prover needs of a loaded set: its schema, the policies that decide, its invariants, and
//! the set's own answer to a request that the prover made up.
//!
//! Nothing here proves anything, and nothing here is on a request's way. This is the only place
//! that hands out Cedar's own types.

use std::collections::BTreeMap;

use cedar_policy::{
    Authorizer, Context, Effect, Entities, Entity, EntityTypeName, EntityUid, Policy, PolicySet,
    Request, Schema,
};
use serde_json::Value;
use signals::{Facts, Principal};

pub use crate::invariants::Invariant;

use crate::cases::plain;
use crate::compiled::Compiled;
use crate::decide::Policies;
use crate::inputs::{InputError, Inputs};
use crate::outcome::Basis;
use crate::schema::kind_of;

/// What holds of the facts of every request by their types, though the schema cannot say it. As a
/// `forbid` of both sets it keeps a prover to questions that a gateway can ask.
pub const FACTS: &str = r#"forbid (principal, action, resource) unless {
  (context.identity.health == "ok" || context.identity.health == "skipped" ||
    context.identity.health == "truncated" || context.identity.health == "malformed" ||
    context.identity.health == "unavailable") &&
  (context.conn.health == "ok" || context.conn.health == "skipped" ||
    context.conn.health == "truncated" || context.conn.health == "malformed" ||
    context.conn.health == "unavailable") &&
  (context.session.health == "ok" || context.session.health == "skipped" ||
    context.session.health == "truncated" || context.session.health == "malformed" ||
    context.session.health == "unavailable") &&
  (context.waf.health == "ok" || context.waf.health == "skipped" ||
    context.waf.health == "truncated" || context.waf.health == "malformed" ||
    context.waf.health == "unavailable") &&
  (context.rate.health == "ok" || context.rate.health == "skipped" ||
    context.rate.health == "truncated" || context.rate.health == "malformed" ||
    context.rate.health == "unavailable") &&
  (context.abuse.health == "ok" || context.abuse.health == "skipped" ||
    context.abuse.health == "truncated" || context.abuse.health == "malformed" ||
    context.abuse.health == "unavailable") &&
  (context.waf.mode == "enforce" || context.waf.mode == "shadow") &&
  0 <= context.conn.port && context.conn.port <= 65535
};"#;

/// A request that no client sent: the two entities with all that is above them, and the facts.
#[derive(Debug, Clone)]
pub struct MadeUp {
    /// Who asks; its parents are all its ancestors.
    pub principal: Entity,
    /// What they want to do.
    pub action: EntityUid,
    /// What they want to do it to; its parents are all its ancestors.
    pub resource: Entity,
    /// `Portcullis::Facts`, whole.
    pub context: Context,
}

/// A link that cannot be written as the policy that it makes, so that nothing is proved of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the link `{link}` cannot be written as a policy: {reason}")]
pub struct LinkError {
    /// Its id.
    pub link: String,
    /// What Cedar says.
    pub reason: String,
}

/// The policy; of a link, a static one in which its slots are filled in.
fn filled(policy: &Policy) -> Result<Policy, LinkError> {
    if policy.template_id().is_none() {
        return Ok(policy.clone());
    }
    let failed = |reason: String| LinkError { link: policy.id().to_string(), reason };
    let json = policy.to_json().map_err(|error| failed(error.to_string()))?;
    Policy::from_json(Some(policy.id().clone()), json).map_err(|error| failed(error.to_string()))
}

impl Policies {
    /// The schema, ours and the operator's.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The policies that decide, by id. A link is here as the policy that it makes, unless it was
    /// over at the load.
    ///
    /// # Errors
    ///
    /// A link is no policy that Cedar can write.
    pub fn deciding(&self) -> Result<BTreeMap<String, Policy>, LinkError> {
        self.by_id(false)
    }

    /// The policies in shadow, by id.
    ///
    /// # Errors
    ///
    /// A link is no policy that Cedar can write.
    pub fn in_shadow(&self) -> Result<BTreeMap<String, Policy>, LinkError> {
        self.by_id(true)
    }

    fn by_id(&self, shadow: bool) -> Result<BTreeMap<String, Policy>, LinkError> {
        let at_ms = self.at_ms(0);
        let all = self.policies.iter().filter(|one| one.meta.shadow == shadow);
        let all = all.filter(|one| !one.until.is_over(at_ms));
        all.map(|one| Ok((one.id().to_owned(), filled(&one.policy)?))).collect()
    }

    /// How many links hold, and will end.
    pub fn ending_links(&self) -> usize {
        let at_ms = self.at_ms(0);
        self.dated.iter().filter(|link| !link.is_over(at_ms)).count()
    }

    /// Until when each link holds that has an end, by id.
    pub fn ends(&self) -> BTreeMap<String, String> {
        self.dated.iter().map(|link| (link.id.clone(), link.until.clone())).collect()
    }

    /// The annotations of each policy that mean something for the answer, as one text.
    pub fn obligations(&self) -> BTreeMap<String, String> {
        let meaning = |one: &Compiled| format!("{:?} {:?}", one.meta.rule, one.meta.obligations);
        self.policies.iter().map(|one| (one.id().to_owned(), meaning(one))).collect()
    }

    /// What must hold of the set.
    pub fn invariants(&self) -> &[Invariant] {
        &self.invariants
    }

    /// The resources of a type that the catalogue has, each with its ancestors as parents.
    pub fn known_resources(&self, kind: &EntityTypeName) -> Vec<Entity> {
        self.catalogue
            .resources()
            .filter(|entity| entity.uid().type_name() == kind)
            .cloned()
            .collect()
    }

    /// The attributes that the schema requires of a type. A resource that is not in the catalogue
    /// has none of them.
    pub fn required_attributes(&self, kind: &EntityTypeName) -> Vec<String> {
        let schema: &Schema = &self.schema;
        let kind = schema.as_ref().get_entity_type(kind.as_ref());
        let attributes = kind.into_iter().flat_map(|kind| kind.attributes().iter());
        attributes.filter(|(_, at)| at.is_required()).map(|(name, _)| name.to_string()).collect()
    }

    /// The facts of a plain request of this type of principal, as the context in Cedar's JSON.
    pub fn plain_context(kind: &EntityTypeName) -> Option<Value> {
        let kind = kind_of(kind)?;
        let facts =
            plain(&Principal { kind, id: "corp|someone".to_owned(), ..Principal::default() });
        in_cedars_json(&facts)
    }

    /// This set's answer to a made up request, by the one way that decides. `None` if the request
    /// cannot be put.
    pub fn judge(&self, asked: &MadeUp) -> Option<Basis> {
        let inputs = self.put(asked).ok()?;
        let kind = kind_of(asked.principal.uid().type_name())?;
        self.basis_at(&inputs, kind, self.at_ms(0))
    }

    /// Whether the made up request matches this invariant, or makes it err.
    pub fn matches(&self, invariant: &Invariant, asked: &MadeUp) -> bool {
        let mut alone = PolicySet::new();
        let added = alone.add(invariant.policy.clone()).is_ok();
        debug_assert_eq!(invariant.policy.effect(), Effect::Forbid, "load sees to it");
        self.put(asked).is_ok_and(|inputs| {
            let answer = Authorizer::new().is_authorized(&inputs.request, &alone, &inputs.store);
            let said = answer.diagnostics();
            added && (said.reason().next().is_some() || said.errors().next().is_some())
        })
    }

    fn put(&self, asked: &MadeUp) -> Result<Inputs, InputError> {
        let MadeUp { principal, action, resource, context } = asked;
        let (who, what) = (principal.uid(), resource.uid());
        let names = self.vocabulary.actions.get(&action.type_name().namespace());
        let known = names.and_then(|names| names.get(action.id().unescaped()));
        let declared = known.is_some_and(|known| {
            kind_of(who.type_name())
                .is_some_and(|kind| known.declares(kind, &what.type_name().to_string()))
        });
        let base = known.map_or_else(Entities::empty, |known| known.store.clone());
        let store = base
            .add_entities([principal.clone(), resource.clone()], None)
            .map_err(|error| InputError::new("the entities", &error))?;
        let request = Request::new(who, action.clone(), what, context.clone(), None)
            .map_err(|error| InputError::new("the request", &error))?;
        Ok(Inputs { request, store, declared, answers: None })
    }
}

/// The facts as the schema's `Portcullis::Facts`: as they are recorded, but for addresses and for
/// `waf.hits`, which is for the event alone.
fn in_cedars_json(facts: &Facts) -> Option<Value> {
    let mut json = serde_json::to_value(facts).ok()?;
    json.get_mut("waf")?.as_object_mut()?.remove("hits");
    let conn = json.get_mut("conn")?;
    let ip = |text: &Value| serde_json::json!({"__extn": {"fn": "ip", "arg": text}});
    let (one, proxies) =
        (ip(conn.get("ip")?), conn.get("proxies")?.as_array()?.iter().map(ip).collect());
    let conn = conn.as_object_mut()?;
    conn.insert("ip".to_owned(), one);
    conn.insert("proxies".to_owned(), Value::Array(proxies));
    Some(json)
}

#[cfg(test)]
mod tests {
    use signals::{Health, PrincipalKind};

    use super::*;
    use crate::PORTCULLIS_SCHEMA;
    use crate::problem::Text;
    use crate::schema;

    /// A new fact with a health must be in both, or its health is any text to a prover.
    #[test]
    fn every_health_of_the_schema_is_one_of_its_words() {
        let healths = PORTCULLIS_SCHEMA.matches("health: __cedar::String").count();
        assert_eq!(FACTS.matches(".health == \"").count(), healths * Health::ALL.len());
        let Ok(Value::Object(facts)) = serde_json::to_value(Facts::default()) else { panic!() };
        for (fact, _) in facts.iter().filter(|(_, fields)| fields.get("health").is_some()) {
            for word in Health::ALL {
                let equals = format!("context.{fact}.health == \"{}\"", word.as_str());
                assert!(FACTS.contains(&equals), "{equals}");
            }
        }
    }

    #[test]
    fn a_plain_context_is_one_of_the_schemas() {
        let text = "namespace A { entity T in [Portcullis::Api];
          action do appliesTo { principal: [Portcullis::User, Portcullis::Workload, Portcullis::ApiKey, Portcullis::Anonymous],
            resource: [T], context: Portcullis::Facts }; }";
        let schema = schema::load(Text::new("schema.cedarschema", text)).unwrap();
        let action: EntityUid = "A::Action::\"do\"".parse().unwrap();
        for kind in crate::schema::PRINCIPAL_KINDS {
            let kind: EntityTypeName = format!("Portcullis::{}", kind.as_str()).parse().unwrap();
            let plain = Policies::plain_context(&kind).unwrap();
            Context::from_json_value(plain, Some((&schema, &action))).unwrap();
        }
        let thing: EntityTypeName = "A::T".parse().unwrap();
        assert!(Policies::plain_context(&thing).is_none());
        assert!(kind_of(&"Portcullis::User".parse().unwrap()) == Some(PrincipalKind::User));
    }
}
