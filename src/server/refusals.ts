// What was refused, for whoever runs the server: one line each, with the option that would change it, and not so many
// that a stranger who knocks all day fills the disk.

import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'

/** Why something is refused. */
export interface Refusal {
  /** For the other side, too: it tells nothing that a stranger could use. */
  readonly reason: string
  /** The option that would change it. */
  readonly option: string
  /** What came, for the log only. */
  readonly came?: string | undefined
}

/** What is known of who was refused. */
export interface Refused {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly socket?: { readonly remoteAddress?: string | undefined } | undefined
}

/** One line per option in so long. */
const EVERY_MS = 10_000
const MAX_CAME = 100

export class RefusalLog {
  readonly #logger: Logger | undefined
  readonly #clock: Clock
  /** By option: when its last line was written, and how many have been left out since. */
  readonly #last = new Map<string, { at: number; leftOut: number }>()

  constructor(logger: Logger | undefined, clock: Clock) {
    this.#logger = logger
    this.#clock = clock
  }

  tell({ reason, option, came }: Refusal, request: Refused = {}): void {
    if (!this.#logger) return
    const now = this.#clock.now()
    const last = this.#last.get(option)
    if (last && now - last.at < EVERY_MS) {
      last.leftOut += 1
      return
    }
    this.#last.set(option, { at: now, leftOut: 0 })
    const what =
      request.url === undefined ? 'a connection' : `${request.method} ${quoted(pathOnly(request.url))}`
    const from = request.socket?.remoteAddress ?? 'somebody'
    const which = came === undefined ? '' : `, ${quoted(came)}`
    const more = last?.leftOut ? ` (and ${last.leftOut} more for this since the last such line)` : ''
    this.#logger.warn(`refused ${what} from ${from}: ${reason}${which}; see the option "${option}"${more}`)
  }
}

/** Without the query: tokens have been seen there. */
function pathOnly(url: string): string {
  return url.split('?', 1)[0] as string
}

/** In one line, whatever it holds. */
function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_CAME ? `${text.slice(0, MAX_CAME)}...` : text)
}
