//! Sets of one environment, made ready for a solver.

use std::collections::BTreeSet;

use cedar_policy::{Effect, Policy, RequestEnv};
use cedar_policy_symcc::{CompiledPolicy, CompiledPolicySet, SymEnv};
use verdict::Policies;

use crate::solver::Session;
use crate::weave::{self, condition};

/// Makes sets of one environment ready for a solver.
pub(crate) struct Compiler<'a> {
    pub(crate) schema: &'a Policies,
    pub(crate) env: &'a RequestEnv,
    pub(crate) symbols: &'a SymEnv,
}

impl Compiler<'_> {
    /// The policies, as `verdict` reads them. `cannot_err` holds the conditions of which that is
    /// known already.
    pub(crate) async fn compile(
        &self,
        policies: &[&Policy],
        cannot_err: &mut BTreeSet<String>,
        session: &mut Session<'_>,
    ) -> Result<CompiledPolicySet, String> {
        let mut err = Vec::new();
        for forbid in policies.iter().filter(|policy| policy.effect() == Effect::Forbid) {
            weave::bounded(forbid)?;
            let text = condition(forbid);
            if cannot_err.contains(&text) {
                continue;
            }
            let compiled = CompiledPolicy::compile_with_custom_symenv(
                forbid,
                self.env,
                self.schema.schema(),
                self.symbols.clone(),
            );
            let compiled = compiled.map_err(|error| format!("`{}`: {error}", forbid.id()))?;
            // what is not known to be right is woven in, which is right either way
            if session.never_errs(&compiled).await.unwrap_or(false) {
                cannot_err.insert(text);
            } else {
                err.push(*forbid);
            }
        }
        self.woven(&weave::set(policies, &err)?)
    }

    pub(crate) fn woven(&self, set: &cedar_policy::PolicySet) -> Result<CompiledPolicySet, String> {
        let symbols = self.symbols.clone();
        let schema = self.schema.schema();
        CompiledPolicySet::compile_with_custom_symenv(set, self.env, schema, symbols)
            .map_err(|error| error.to_string())
    }
}
