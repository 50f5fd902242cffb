// The only file that knows guru-comms: one endpoint, what it does turned into what the page shows.

import { type ApiError, type CommsError, Endpoint, type Reply } from 'guru-comms'
import { Series } from './model/Series.ts'
import { StateHistory } from './model/StateHistory.ts'

export const WINDOW_MS = 60_000
/** What the pulse asks for, once a second. */
const PULSE_PATH = '/v1/models'

/** A line in the log of what HTTP went through. */
export interface HttpEntry {
  readonly id: number
  readonly at: number
  readonly kind: 'ok' | 'retry' | 'failed' | 'limited' | 'breaker'
  readonly text: string
}

/** What the panels read at every frame. */
export interface Vitals {
  readonly state: string
  readonly status: string
  readonly attempts: number
  /** Milliseconds until the next attempt, while waiting. */
  readonly nextAttemptMs: number | undefined
  readonly queuedMessages: number
  readonly queuedBytes: number
  readonly latency: Series
  readonly droppedAudio: number
  readonly breaker: {
    readonly state: string
    readonly failures: number
    readonly requests: number
    readonly opensInMs: number | undefined
  }
  readonly buckets: readonly { readonly name: string; readonly tokens: number; readonly capacity: number }[]
  readonly http: { readonly calls: number; readonly retries: number; readonly failed: number }
}

export class Line {
  readonly endpoint: Endpoint
  readonly history = new StateHistory(WINDOW_MS)
  readonly latency = new Series(60)
  readonly #log: HttpEntry[] = []
  #entries = 0
  #nextAttemptAt = 0
  #lastLatency: number | undefined
  #pulse: ReturnType<typeof setInterval> | undefined
  /** Told whenever something has changed that is worth a frame. */
  onChange: () => void = () => {}

  constructor(location: Location) {
    const socket = new URL('/ws', location.href)
    socket.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:'
    this.endpoint = new Endpoint({
      WS_URL: socket.href,
      API_BASE_URL: location.origin,
      // Shorter than the defaults: here one wants to see it happen.
      connection: { pingInterval: 2000, healthInterval: 1000 },
      api: { timeout: 5000, circuitBreakerOptions: { timeout: 8000 } },
    })
    const { connection, api } = this.endpoint
    this.history.enter(connection.connectionState, performance.now())
    connection.on('connectionState', (state) => {
      this.history.enter(state, performance.now())
      this.onChange()
    })
    connection.on('reconnecting', ({ delay }) => {
      this.#nextAttemptAt = performance.now() + delay
    })
    connection.on('statusChange', () => this.onChange())
    connection.on('error', () => {})
    api.on('retry', ({ attempt, delay, error }) =>
      this.#note('retry', `attempt ${attempt} failed (${reasonOf(error)}), again in ${Math.round(delay)} ms`),
    )
    api.on('breaker', ({ state, reason }) =>
      this.#note(
        'breaker',
        `breaker ${state.replace('_', '-').toLowerCase()}: ${reason.replaceAll('-', ' ')}`,
      ),
    )
    api.on('limited', ({ endpoint, retryAfter }) =>
      this.#note('limited', `${endpoint} over its limit, free in ${Math.round(retryAfter)} ms`),
    )
    api.on('failure', ({ error, attempts }) => {
      if ((error as CommsError).code !== 'RATE_LIMITED')
        this.#note('failed', `gave up after ${attempts} attempts: ${reasonOf(error)}`)
    })
    api.on('response', ({ status, attempts, duration }) =>
      this.#note(
        'ok',
        `${status} in ${Math.round(duration)} ms${attempts > 1 ? `, attempt ${attempts}` : ''}`,
      ),
    )
  }

  get log(): readonly HttpEntry[] {
    return this.#log
  }

  ask(text: string, image: string | undefined): Reply {
    return this.endpoint.ask(text, image === undefined ? {} : { image })
  }

  /** Asks over HTTP once a second, so that there is something to see. */
  setPulse(on: boolean): void {
    clearInterval(this.#pulse)
    this.#pulse = on ? setInterval(() => void this.request(), 1000) : undefined
  }

  async request(): Promise<void> {
    await this.endpoint.api.get(PULSE_PATH).catch(() => {})
  }

  /** Switches faults on the backend on and off. Not through the client: the breaker may be open, and faults are not its affair. */
  async setFaults(faults: object): Promise<void> {
    await fetch('/__faults', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(faults),
    })
  }

  read(): Vitals {
    const { connection, api } = this.endpoint
    const now = performance.now()
    const stats = connection.getStats()
    if (stats.latency !== undefined && stats.latency !== this.#lastLatency) {
      this.#lastLatency = stats.latency
      this.latency.add(stats.latency)
    }
    const breaker = api.getCircuitBreakerState()
    const { totalRequests, retries, failedRequests } = api.getStats()
    const bucket = (name: string, endpoint: string, category: string) => {
      const { tokens, capacity } = api.rateLimiter.getInfo(endpoint, category)
      return { name, tokens, capacity }
    }
    return {
      state: stats.connectionState,
      status: stats.status,
      attempts: stats.reconnectAttempts,
      nextAttemptMs: stats.connectionState === 'waiting' ? Math.max(0, this.#nextAttemptAt - now) : undefined,
      queuedMessages: stats.queuedMessages,
      queuedBytes: stats.queuedBytes,
      latency: this.latency,
      droppedAudio: stats.droppedAudio,
      breaker: {
        state: breaker.state,
        failures: breaker.failureCount,
        requests: breaker.requestCount,
        opensInMs: breaker.nextAttempt === null ? undefined : Math.max(0, breaker.nextAttempt - Date.now()),
      },
      buckets: [
        bucket('GET models · api', `GET ${PULSE_PATH}`, 'api'),
        bucket('POST stop · control', 'POST /api/stop-generation', 'control'),
      ],
      http: { calls: totalRequests, retries, failed: failedRequests },
    }
  }

  #note(kind: HttpEntry['kind'], text: string): void {
    this.#entries += 1
    this.#log.unshift({ id: this.#entries, at: Date.now(), kind, text })
    this.#log.length = Math.min(this.#log.length, 40)
    this.onChange()
  }
}

/** Why something failed, in a word or two. */
export function reasonOf(error: unknown): string {
  const { code, status } = error as Partial<ApiError>
  if (code === 'HTTP_STATUS') return `status ${status}`
  return code ? code.toLowerCase().replaceAll('_', ' ') : String(error)
}
