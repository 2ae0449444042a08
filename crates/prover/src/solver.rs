//! The solver: cvc5 as a process that answers one question after another, each in its time.
//!
//! It is started as `cvc5 --lang smt --strings-exp --tlimit-per=…`: a limit for each question. (The
//! crate's own default limits the life of the process, idle time included.) A process that is late,
//! that ends or that says what is no answer is killed, and the next question has a fresh one.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use cedar_policy_symcc::err::{Error, SolverError};
use cedar_policy_symcc::solver::{self, Decision, DecisionWithModel};
use cedar_policy_symcc::{
    CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env, SmtLibScript as _,
};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::io::{BufReader, BufWriter};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, error::Elapsed, timeout};

/// Longest model that is read, bytes. Ours have a few hundred lines.
const MODEL_BYTES_MAX: usize = 1 << 20;
/// Longest line of an answer, bytes.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// What the process gets beyond the time that it was told, to say that the time is up.
const GRACE: Duration = Duration::from_secs(2);

/// Which solver, and how long it may take.
#[derive(Debug, Clone)]
pub struct Solver {
    /// cvc5.
    pub program: PathBuf,
    /// The longest that it may take for one question.
    pub query: Duration,
}

/// Questions to one solver, until a deadline.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    solver: &'a Solver,
    deadline: Instant,
    /// Taken away while a question is asked, so that what goes wrong leaves none behind.
    running: Option<CedarSymCompiler<Process>>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(solver: &'a Solver, deadline: Instant) -> Self {
        Self { solver, deadline, running: None }
    }

    /// Whether everything that `narrow` allows is allowed by `wide`: `None`, or a counterexample.
    /// An error is why there is no telling.
    pub(crate) async fn implies(
        &mut self,
        narrow: &CompiledPolicySet,
        wide: &CompiledPolicySet,
    ) -> Result<Option<Env>, String> {
        let (mut compiler, time) = self.take()?;
        let asked = compiler.check_implies_with_counterexample_opt(narrow, wide);
        let answer = timeout(time, asked).await;
        self.settle(compiler, answer).await
    }

    /// Whether a policy cannot err.
    pub(crate) async fn never_errs(&mut self, policy: &CompiledPolicy) -> Result<bool, String> {
        let (mut compiler, time) = self.take()?;
        let answer = timeout(time, compiler.check_never_errors_opt(policy)).await;
        self.settle(compiler, answer).await
    }

    /// Ends the process, if there is one.
    pub(crate) async fn close(mut self) {
        if let Some(mut running) = self.running.take() {
            running.solver_mut().end().await;
        }
    }

    /// A process, and the time that there is for one question.
    fn take(&mut self) -> Result<(CedarSymCompiler<Process>, Duration), String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("the time for everything is used up".to_owned());
        }
        let compiler = match self.running.take() {
            Some(running) => running,
            None => {
                let process = Process::start(self.solver).map_err(|error| {
                    format!("cannot start `{}`: {error}", self.solver.program.display())
                })?;
                CedarSymCompiler::new(process).map_err(|error| error.to_string())?
            }
        };
        Ok((compiler, left.min(self.solver.query.saturating_add(GRACE))))
    }

    async fn settle<T>(
        &mut self,
        mut compiler: CedarSymCompiler<Process>,
        answer: Result<Result<T, Error>, Elapsed>,
    ) -> Result<T, String> {
        let limit = || format!("the solver came to no answer within {:?}", self.solver.query);
        // what timed out or failed may be in the middle of anything
        if !matches!(answer, Ok(Ok(_) | Err(Error::SolverUnknown))) {
            compiler.solver_mut().end().await;
        }
        match answer {
            Ok(Ok(answer)) => {
                self.running = Some(compiler);
                Ok(answer)
            }
            // it did as it was told, and can be asked again
            Ok(Err(Error::SolverUnknown)) => {
                self.running = Some(compiler);
                Err(limit())
            }
            Ok(Err(Error::SolverError(error))) => Err(match error {
                SolverError::Io(error) => format!("the solver ended: {error}"),
                SolverError::Solver(said) => format!("the solver failed: {}", start(&said)),
                SolverError::UnrecognizedSolverOutput(said) => {
                    format!("the solver said what is no answer: `{}`", start(&said))
                }
                SolverError::SolverMarkedFailed => "the solver failed".to_owned(),
            }),
            Ok(Err(Error::EncodeError(error))) => {
                Err(format!("the solver cannot be asked: {error}"))
            }
            Ok(Err(error)) => Err(format!("the solver's answer cannot be read: {error}")),
            Err(_) if Instant::now() >= self.deadline => {
                Err("the time for everything is used up".to_owned())
            }
            Err(_) => Err(limit()),
        }
    }
}

/// The start of something that came from outside, in one line.
fn start(said: &str) -> String {
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(80).collect()
}

/// A running solver. Should it be dropped before its end, it is killed.
#[derive(Debug)]
struct Process {
    child: Child,
    questions: BufWriter<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Process {
    fn start(solver: &Solver) -> Result<Self, std::io::Error> {
        let limit = format!("--tlimit-per={}", solver.query.as_millis());
        let arguments = ["--lang", "smt", "--strings-exp", &limit].map(OsStr::new);
        let mut child = Command::new(&solver.program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("it has no input or output"));
        };
        let (questions, answers) = (BufWriter::new(questions), BufReader::new(answers));
        Ok(Self { child, questions, answers })
    }

    /// Kills it, and waits until it is gone. One that cannot be killed is left to the system.
    async fn end(&mut self) {
        let _ = timeout(GRACE, self.child.kill()).await;
    }

    /// Adds one line of what it says to `to`.
    async fn line(&mut self, to: &mut String) -> Result<(), SolverError> {
        let mut limited = (&mut self.answers).take(LINE_BYTES_MAX);
        // Whatever a line is added to is looked at again for each.
        let mut line = String::new();
        if limited.read_line(&mut line).await? == 0 {
            return Err(SolverError::Solver("it ended without an answer".to_owned()));
        }
        to.push_str(&line);
        match to.len() <= MODEL_BYTES_MAX && to.ends_with('\n') {
            true => Ok(()),
            false => Err(SolverError::Solver("its answer has no end".to_owned())),
        }
    }

    /// `(error "…")`, or something else that is no answer.
    fn no_answer(said: &str) -> SolverError {
        let error = said.strip_prefix("(error \"").and_then(|said| said.strip_suffix("\")"));
        match error {
            Some(error) => SolverError::Solver(error.to_owned()),
            None => SolverError::UnrecognizedSolverOutput(said.to_owned()),
        }
    }
}

impl solver::Solver for Process {
    fn smtlib_input(&mut self) -> &mut (dyn AsyncWrite + Unpin + Send) {
        &mut self.questions
    }

    async fn enable_models(&mut self) -> Result<(), SolverError> {
        Ok(self.smtlib_input().set_option("produce-models", "true").await?)
    }

    async fn check_sat(&mut self) -> Result<Decision, SolverError> {
        self.smtlib_input().check_sat().await?;
        self.questions.flush().await?;
        let mut said = String::new();
        self.line(&mut said).await?;
        match said.trim() {
            "sat" => Ok(Decision::Sat),
            "unsat" => Ok(Decision::Unsat),
            "unknown" => Ok(Decision::Unknown),
            other => Err(Self::no_answer(other)),
        }
    }

    /// A model begins with a line `(` and ends with a line `)`.
    async fn check_sat_with_model(&mut self) -> Result<DecisionWithModel, SolverError> {
        match self.check_sat().await? {
            Decision::Unsat => return Ok(DecisionWithModel::Unsat),
            Decision::Unknown => return Ok(DecisionWithModel::Unknown),
            Decision::Sat => {}
        }
        self.smtlib_input().get_model().await?;
        self.questions.flush().await?;
        let mut model = String::new();
        self.line(&mut model).await?;
        if model.trim() != "(" {
            return Err(Self::no_answer(model.trim()));
        }
        while !model.ends_with("\n)\n") {
            self.line(&mut model).await?;
        }
        Ok(DecisionWithModel::Sat { model })
    }
}
