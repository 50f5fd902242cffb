// What a rule answers. Rules are pure functions: a value in, the first thing wrong with it out.

export interface Problem {
  /** Stable name of the rule that was broken. */
  readonly rule: string
  /** What is wrong, to be read after the field's name; nothing of the value in it. */
  readonly message: string
  readonly offset?: number
  readonly length?: number
  readonly decodedVia?: string
  /** Below which part of a nested value, such as `.tags[2]`. */
  readonly path?: string
}
