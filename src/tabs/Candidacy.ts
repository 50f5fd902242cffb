// A tab's wish to lead: applied for once the one before has ended, again after a failure, never twice at a time.

import type { Clock, TimerHandle } from '../core/clock.ts'
import { type Backoff, backoffDelay, jitterRanges } from '../policies/backoff.ts'
import type { Tabs } from './browserTabs.ts'
import { isOfThisVersion } from './protocol.ts'

export interface CandidacyHost {
  readonly tab: string
  /** Begins to lead. @throws what makes that impossible for now */
  lead(takeOver: boolean): void
  /** This tab leads no more: another one does. */
  lost(): void
  error(error: Error): void
}

/** Between failures to begin. */
const BACKOFF: Backoff = { baseMs: 1000, factor: 2, maxMs: 30_000, jitter: jitterRanges.equal }

interface Application {
  readonly withdrawn: AbortController
  /** Ends the lead. */
  readonly end: PromiseWithResolvers<void>
  leads: boolean
}

export class Candidacy {
  readonly #tabs: Tabs
  readonly #clock: Clock
  readonly #random: () => number
  readonly #host: CandidacyHost
  #application: Application | undefined
  #failures = 0
  #retry: TimerHandle | undefined
  #asking = false

  constructor(
    { tabs, clock, random }: { readonly tabs: Tabs; readonly clock: Clock; readonly random: () => number },
    host: CandidacyHost,
  ) {
    this.#tabs = tabs
    this.#clock = clock
    this.#random = random
    this.#host = host
  }

  /** @param takeOver from whoever leads */
  apply(takeOver = false): void {
    this.withdraw()
    const application: Application = {
      withdrawn: new AbortController(),
      end: Promise.withResolvers<void>(),
      leads: false,
    }
    this.#application = application
    const { signal } = application.withdrawn
    const lead = () => {
      if (this.#application !== application) return Promise.resolve()
      application.leads = true
      this.#host.lead(takeOver)
      this.#failures = 0
      return application.end.promise
    }
    // The platform may refuse within the call.
    const led = new Promise<void>((resolve) => resolve(this.#tabs.lead(async () => lead(), signal, takeOver)))
    led.catch((error: Error) => {
      if (this.#application !== application) return
      if (application.leads && error.name === 'AbortError') this.lost()
      else this.#failed(error)
    })
  }

  /** Another tab leads: this one applies anew. */
  lost(): void {
    if (!this.#application?.leads) return
    this.withdraw()
    this.#host.lost()
    this.apply()
  }

  /** Gives up the lead, or the wish for it. */
  withdraw(): void {
    this.#clock.clearTimeout(this.#retry)
    const application = this.#application
    this.#application = undefined
    application?.withdrawn.abort()
    application?.end.resolve()
  }

  close(): void {
    this.withdraw()
  }

  /** Another tab says that it leads: one of the two is mistaken. */
  doubt(): void {
    if (this.#asking) return
    this.#asking = true
    this.#tabs
      .leaders()
      .then((leaders) => {
        if (leaders && !leaders.has(this.#host.tab)) this.lost()
      })
      .catch(() => {})
      .finally(() => {
        this.#asking = false
      })
  }

  /** Who leads and does not answer: a tab that may be replaced, one that must not be, or nobody. */
  async rival(): Promise<'hangs' | 'foreign' | undefined> {
    const leaders = await this.#tabs.leaders()
    if (!leaders || leaders.has(this.#host.tab)) return undefined
    // One of another version knows nothing of being replaced: there would be two.
    return [...leaders].some(isOfThisVersion) ? 'hangs' : 'foreign'
  }

  #failed(error: Error): void {
    this.#application = undefined
    this.#failures += 1
    this.#host.error(error)
    const delayMs = backoffDelay(BACKOFF, this.#failures, this.#random)
    this.#retry = this.#clock.setTimeout(() => this.apply(), delayMs, true)
  }
}
