// What a step of a process asks of the world around it, in order.

export type Effect =
  /** A frame on a connection; the client's is always its current one. */
  | { readonly do: 'send'; readonly conn: number; readonly frame: string }
  /** Ends a connection. */
  | { readonly do: 'hangUp'; readonly conn: number; readonly code: number }
  /** A handler begins. */
  | {
      readonly do: 'start'
      readonly sid: string
      readonly number: number
      readonly message: string
      readonly flagged: boolean
    }
  /** Something that an app is told, or does: for the monitor. */
  | { readonly do: 'note'; readonly note: string }

/** A step that must never happen. */
export class Violation extends Error {}

/** A handler that has begun and not settled. */
export interface Running {
  readonly sid: string
  readonly number: number
  readonly message: string
}

/** What came of a step: the process after it, and what it asks for. */
export interface Outcome {
  readonly next: number
  readonly effects: readonly Effect[]
  /** Why it must never have happened. */
  readonly violation: string
}
