// A fence around the app's code. Whatever a callback of the app does (it throws, rejects, gives a wrong type, a thenable
// or a getter that throws) becomes a result that the caller decides on; none of it leaves as an exception of ours.

import { isThenable } from '../core/isThenable.ts'
import type { Logger } from '../core/logger.ts'

/** What a call of the app's code came to. */
export type Called =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown }

/** Calls the app's code, and waits for what it gives. Never rejects. */
export async function call(run: () => unknown): Promise<Called> {
  try {
    // `await` calls `then` itself: one that throws is a rejection like any other.
    return { ok: true, value: await run() }
  } catch (error) {
    return { ok: false, error }
  }
}

/**
 * Calls code of the app that answers at once. It may be an async function all the same: `onError` hears of its
 * rejection, in place of the process.
 */
export function callNow(run: () => unknown, onError: (error: unknown) => void): Called {
  try {
    const value = run()
    if (isThenable(value)) void call(() => value).then((late) => late.ok || onError(late.error))
    return { ok: true, value }
  } catch (error) {
    return { ok: false, error }
  }
}

/** What came, in a few words and without its content: it may be a secret, and it may be booby-trapped. */
export function kindOf(value: unknown): string {
  if (value === '') return 'an empty string'
  if (value === null || value === undefined || typeof value === 'boolean') return String(value)
  if (typeof value === 'number') return Number.isNaN(value) ? 'NaN' : 'a number'
  if (typeof value === 'object') return 'an object'
  return typeof value === 'string' ? 'a string' : `a ${typeof value}`
}

/** A field of what the app threw or gave; `undefined` when it cannot be read. */
export function fieldOf(value: unknown, name: string): unknown {
  try {
    return (value as Record<string, unknown> | null | undefined)?.[name]
  } catch {
    return undefined
  }
}

type Level = keyof Logger

/** The app's logger, behind the fence: a log line that fails is lost, and nothing else. */
export function guardLogger(logger: Logger | undefined): Logger | undefined {
  if (logger === undefined || logger instanceof GuardedLogger) return logger
  return new GuardedLogger(logger)
}

class GuardedLogger implements Logger {
  readonly #logger: Logger

  constructor(logger: Logger) {
    this.#logger = logger
  }

  debug(...parts: unknown[]): void {
    this.#log('debug', parts)
  }

  info(...parts: unknown[]): void {
    this.#log('info', parts)
  }

  warn(...parts: unknown[]): void {
    this.#log('warn', parts)
  }

  error(...parts: unknown[]): void {
    this.#log('error', parts)
  }

  #log(level: Level, parts: unknown[]): void {
    const lost = () => {}
    const called = callNow(() => this.#logger[level](...parts), lost)
    if (called.ok || !parts.some((part) => typeof part === 'object')) return
    // What was thrown may be what cannot be shown: the words stand without it.
    const words = parts.map((part) => (typeof part === 'object' ? '(cannot be shown)' : part))
    callNow(() => this.#logger[level](...words), lost)
  }
}
