// What every policy is from outside, so that they compose in any order.

/** What an operation is told about the attempt it is part of. */
export interface AttemptContext {
  /** Aborts when the caller, a timeout or a lost race wants the operation to end. */
  readonly signal?: AbortSignal | undefined
  /** 1 for the first call, 2 for the first retry. */
  readonly attempt: number
  /** When the whole call must be over, on the scale of the policy's clock; `Infinity` when never. */
  readonly deadlineAt: number
}

/** The work that policies wrap. */
export type Operation<T> = (context: AttemptContext) => T | PromiseLike<T>

/** Something that runs an operation under a rule of its own. */
export interface Policy {
  /** Runs `operation`; rejects with its error or with the policy's own. */
  execute<T>(operation: Operation<T>, context?: AttemptContext): Promise<T>
}

/** The context of a call that nobody has put under a policy yet. */
export const firstAttempt: AttemptContext = Object.freeze({ attempt: 1, deadlineAt: Infinity })
