// What a detector says: where, and by which rule. Never what it read there.

/** One suspicious place in a text. */
export interface Finding {
  /** Index of its first UTF-16 unit in the text that was given. */
  readonly offset: number
  /** Length in UTF-16 units, at least 1 in a text that is not empty. */
  readonly length: number
  /** What was recognised, in words of ours: safe to show and to log. */
  readonly reason: string
  /** Decoding steps that brought it to light, joined by `>`; empty when it stood there in plain sight. */
  readonly decodedVia: string
}

/** A detector: pure, linear in the length of the text, never throws. */
export type Detect = (text: string) => Finding | null

/** A place found in one form of a text; `decode.ts` carries it back to the original. */
export interface Hit {
  readonly start: number
  readonly end: number
  readonly reason: string
}
