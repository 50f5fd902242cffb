// What went wrong with the engine, in a word that a program can decide on, and in a sentence that says what to do.

import { CommsError } from '../core/errors.ts'

/** Why a command to Redis or Valkey failed. */
export type EngineReason =
  /** No connection: refused, reset, closed, not resolved. */
  | 'unreachable'
  /** No answer in time. The engine may have carried it out all the same. */
  | 'timeout'
  /** No password, or a wrong one. */
  | 'authentication'
  /** The user of the connection may not run a command, or not on that key or channel. */
  | 'permission'
  /** The server is older than 7.0. */
  | 'version'
  /** A replica answered: it may be read and not written. */
  | 'readOnly'
  /** `maxmemory` is reached. */
  | 'full'
  /** It is there and cannot serve now: it loads, a script blocks it, the cluster lacks a part, its disk fails. */
  | 'unavailable'
  /** What was sent cannot be run: a fault of this package, or something else lies under the key. */
  | 'command'

/** The engine failed; `code` is `ENGINE`. `cause` is the client's error without what it had sent: that may be secret. */
export class EngineError extends CommsError {
  override readonly name = 'EngineError'
  readonly isEngineError = true
  readonly reason: EngineReason

  constructor(message: string, init: { reason: EngineReason; cause?: unknown }) {
    super(message, { ...('cause' in init && { cause: init.cause }), code: 'ENGINE' })
    this.reason = init.reason
  }
}

/** Whether `error` is an `EngineError`, also one of another copy of the package. */
export function isEngineError(error: unknown): error is EngineError {
  return (error as { isEngineError?: unknown } | null)?.isEngineError === true
}

/** Beginnings of the engine's own messages; the first that fits counts. */
const answers: readonly [RegExp, EngineReason, string][] = [
  [/^NOAUTH/, 'authentication', 'give the client a username and password'],
  [/^WRONGPASS/, 'authentication', "check the client's username and password"],
  [
    /^NOPERM|can't (?:run|access)/,
    'permission',
    'the ACL of its user must allow scripting (+@scripting), the commands that the scripts run, and the keys and channels under the prefix',
  ],
  [
    /^READONLY|read.?only (?:replica|script)/i,
    'readOnly',
    'connect to the primary, or through Sentinel or Cluster, so that the client follows a failover',
  ],
  [/^OOM/, 'full', "raise the server's maxmemory or free some: what is shared must not be evicted"],
  [/^LOADING/, 'unavailable', 'the server is loading its data and will be there when it has'],
  [/^BUSY/, 'unavailable', "somebody's script blocks the server (SCRIPT KILL ends it)"],
  [
    /^(?:CLUSTERDOWN|MASTERDOWN|TRYAGAIN|NOREPLICAS)/,
    'unavailable',
    'a part of it is missing: see CLUSTER INFO and the logs of its nodes',
  ],
  [
    /^MISCONF/,
    'unavailable',
    'the server cannot write to its disk: see its log (or set stop-writes-on-bgsave-error)',
  ],
  [
    /^(?:CROSSSLOT|MOVED|ASK)\b/,
    'command',
    'the keys lie on several nodes: give a Cluster client, not one of a single node',
  ],
  [/^WRONGTYPE/, 'command', 'something else lies under this key: choose another prefix'],
]

/** Whether this is the engine's own word, not the client's: it begins with one in capitals. */
export function isAnswer(message: string): boolean {
  return /^[A-Z]{3,} /.test(message) && !/^E(?!RR |XECABORT )/.test(message)
}

/**
 * Why a client's promise was rejected, as an error that says what to do about it.
 * @param what what was being done: `the shared limiter's script`
 */
export function engineError(error: unknown, what: string): EngineError {
  if (isEngineError(error)) return error
  const { message, cause } = wordsOf(error)
  for (const [pattern, reason, remedy] of answers) {
    if (pattern.test(message)) return new EngineError(`${what}: ${message}: ${remedy}`, { reason, cause })
  }
  if (isAnswer(message)) return new EngineError(`${what}: ${message}`, { reason: 'command', cause })
  if (/timed? ?out|ETIMEDOUT/i.test(message))
    return new EngineError(`${what}: ${message}`, { reason: 'timeout', cause })
  return new EngineError(`${what}: the engine cannot be reached (${message})`, {
    reason: 'unreachable',
    cause,
  })
}

/** A client's error carries the command, the command its arguments, and those may be a password: words and code only. */
function wordsOf(error: unknown): { message: string; cause: Error } {
  const { name, code, errors } = (error ?? {}) as { name?: unknown; code?: unknown; errors?: unknown[] }
  const own = error instanceof Error ? error.message : String(error)
  const inner = Array.isArray(errors) && errors[0] instanceof Error ? errors[0].message : ''
  const message = own || inner || String(code ?? name ?? 'no reason given')
  const cause = new Error(message)
  if (typeof name === 'string') cause.name = name
  if (typeof code === 'string') Object.assign(cause, { code })
  return { message, cause }
}
