//! Rule files. A file loads or every problem has a place in it; what loads, looks at a request
//! without trouble and says the same each time.

use seclang::{Collection, Input, RuleSet};

/// Loads a rule file.
pub fn seclang(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let set = match RuleSet::load(&[("f.conf", text)]) {
        Ok(set) => set,
        Err(problems) => {
            let lines = text.matches('\n').count() + 1;
            assert!(!problems.is_empty() && problems.is_sorted());
            for problem in problems {
                assert!((1..=lines).contains(&problem.line) && problem.column > 0, "{problem}");
                assert!(!problem.message.is_empty());
            }
            return false;
        }
    };
    let mut input = Input::new(16);
    input.push(Collection::RequestUri, "", "/a/b?c=%27");
    input.push(Collection::ArgsGet, "c", "1' or '1'='1");
    input.push(Collection::RequestBody, "", data);
    assert_eq!(set.evaluate(&input), set.evaluate(&input));
    true
}
