// Where logs are kept. A store decides nothing: it runs a step on the heads it is asked for, and
// records what the step returns, as one transaction.

import type { LogHead, LogRecord } from './log.ts'

/** What a step has recorded. */
export type LogWrite =
  /** Puts a head in the place of whatever the path held. */
  | { readonly kind: 'put'; readonly head: LogHead }
  /** Adds a record; a `put` of its head comes with it. */
  | { readonly kind: 'append'; readonly path: string; readonly record: LogRecord }
  /** Copies what stands before `until`, cutting the last record where it has to. */
  | { readonly kind: 'copy'; readonly from: string; readonly to: string; readonly until: number }
  /** Forgets the records of a path, and with `head` the head as well. */
  | { readonly kind: 'remove'; readonly path: string; readonly head: boolean }

export interface StepResult<T> {
  readonly result: T
  readonly writes: readonly LogWrite[]
}

/** Pure: a store may run it again when somebody else was faster. */
export type LogStep<T> = (heads: readonly (LogHead | undefined)[]) => StepResult<T>

export interface LogStore {
  /**
   * Runs a step on the heads of these paths, and records what it returns: all of it or nothing,
   * and nothing of anybody else's in between.
   * @throws or rejects with CommsError `STORAGE` when it cannot
   */
  transact<T>(paths: readonly string[], step: LogStep<T>): T | Promise<T>
  /**
   * The records from the one that holds position `from` on, until they have `maxBytes` or more;
   * at least one if there is one.
   */
  read(path: string, from: number, maxBytes: number): readonly LogRecord[] | Promise<readonly LogRecord[]>
  /** The heads of all logs. */
  list(): Iterable<LogHead> | AsyncIterable<LogHead>
  /**
   * Calls `listener` with the paths that other processes have changed, where several share the
   * store; `undefined`: it may be any.
   * @returns a function that ends it
   */
  watch?(listener: (path: string | undefined) => void): () => void
  /** Lets go of it. Never rejects. */
  close(): void | Promise<void>
}

/** The first `units` of a record; `json` says what a unit is. */
export function cutRecord(record: LogRecord, units: number, json: boolean): LogRecord {
  if (units >= record.units) return record
  const { position, data } = record
  if (!json) return { position, units, data: data.subarray(0, units) }
  return { position, units, data: data.subarray(0, messageStart(data, units) - 1) }
}

/** What is left of a record without its first `units`. */
export function skipUnits(record: LogRecord, units: number, json: boolean): LogRecord {
  if (units <= 0) return record
  const from = json ? messageStart(record.data, units) : units
  return { position: record.position + units, units: record.units - units, data: record.data.subarray(from) }
}

const LINE_BREAK = 10

/** Where message `index` begins. */
function messageStart(data: Uint8Array, index: number): number {
  let at = 0
  for (let passed = 0; passed < index; passed += 1) at = data.indexOf(LINE_BREAK, at) + 1
  return at
}
