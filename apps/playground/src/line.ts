// The only file that knows guru-comms: one endpoint, and what it tells turned into the view model that the page shows.

import { type ApiError, type CommsError, Endpoint, type Reply } from 'guru-comms'
import { Conversation, type Question } from './model/Conversation.ts'
import { EventLog } from './model/EventLog.ts'
import { formatMs } from './model/format.ts'
import {
  type BreakerName,
  type Bucket,
  type FaultChange,
  type Loss,
  Recording,
  type SessionName,
  type Vitals,
} from './model/vitals.ts'

/** What the pulse asks for, once a second. */
const PULSE_PATH = '/v1/models'
const FAULTS_PATH = '/__faults'
const LOG_ENTRIES = 60

/** What to tell a person about an answer that did not come to its end. */
const PROBLEMS: Readonly<Record<string, string>> = {
  SESSION_LOST:
    'The backend no longer knows of it. It is not asked again by itself: that could answer it twice.',
  CONNECTION: 'The line was given up.',
  TIMEOUT: 'Nothing more was heard of this answer.',
  DROPPED: 'The queue was full, and this had to go.',
}

export class Line {
  readonly recording = new Recording()
  readonly conversation = new Conversation()
  readonly log = new EventLog(LOG_ENTRIES)
  readonly #endpoint: Endpoint
  readonly #replies = new Map<string, Reply>()
  #since = performance.now()
  #nextAttemptAt = 0
  #opened = 0
  #session: SessionName = 'none'
  #ackedAt: number | undefined
  #loss: Loss | undefined
  #faults: Vitals['faults'] = 'unknown'
  #awayUntil = 0
  #pulse: ReturnType<typeof setInterval> | undefined
  /** Told when something has changed that should be seen at once. */
  onChange: () => void = () => {}

  /** @param origin where the page came from: the backend is there, too */
  constructor(origin: string) {
    const socket = new URL('/ws', origin)
    socket.protocol = socket.protocol === 'https:' ? 'wss:' : 'ws:'
    this.#endpoint = new Endpoint({
      WS_URL: socket.href,
      API_BASE_URL: origin,
      // Shorter than the defaults: here one wants to see it happen.
      connection: { pingInterval: 2000, healthInterval: 1000, session: 'required' },
      api: { timeout: 5000, circuitBreakerOptions: { timeout: 8000 } },
    })
    this.#followConnection()
    this.#followRequests()
  }

  /** Asks; the conversation tells what becomes of it. @throws what is wrong with the question */
  ask(question: Question): void {
    const { text, image } = question
    const isOpen = this.#endpoint.connection.connected
    const reply = this.#endpoint.ask(text, image === undefined ? {} : { image })
    this.#replies.set(reply.id, reply)
    this.conversation.asked(reply.id, question, isOpen, Date.now())
    void this.#follow(reply)
    this.onChange()
  }

  /** Stops every answer that is under way. */
  stop(): void {
    for (const reply of this.#replies.values()) {
      this.conversation.stopped(reply.id)
      reply.stop()
    }
  }

  /** Sends live audio; false when it came too late and was left out. */
  streamAudio(samples: Int16Array): boolean {
    return this.#endpoint.streamAudio(samples)
  }

  /** Tries at once, without waiting for the moment that was chosen. */
  reconnectNow(): void {
    this.#endpoint.connection.connect()
  }

  /** Asks over HTTP once a second, so that there is something to see. */
  setPulse(on: boolean): void {
    clearInterval(this.#pulse)
    this.#pulse = on ? setInterval(() => this.request(), 1000) : undefined
  }

  /** Asks over HTTP, so many times at once. */
  request(times = 1): void {
    // What fails is in the log already.
    for (let call = 0; call < times; call += 1) void this.#endpoint.getModels().catch(() => {})
  }

  /** Hurts, or heals. Not through the client: its breaker may be open, and faults are not its affair. */
  async setFault({ cut, ...change }: FaultChange): Promise<void> {
    if (cut) this.recording.faults.blow('cut', performance.now())
    const { awayMs, ...rest } = change
    await this.#askForFaults({
      ...rest,
      ...(cut && { cut }),
      ...(awayMs !== undefined && { refuseMs: awayMs }),
    })
  }

  read(): Vitals {
    const { connection, api } = this.#endpoint
    const now = performance.now()
    const { connectionState, latency, ...stats } = connection.getStats()
    const { state, failureCount, requestCount, nextAttempt } = api.getCircuitBreakerState()
    const { totalRequests, retries, failedRequests } = api.getStats()
    const breakerState = breakerName(state)
    const faults = this.#faultsAt(now)

    const { recording } = this
    if (latency !== undefined) recording.latency.change(latency, now)
    recording.queue.change(stats.queuedMessages, now)
    recording.unacknowledged.change(stats.unacknowledgedMessages, now)
    recording.breaker.enter(breakerState, now)
    if (typeof faults === 'object') {
      recording.faults.set('away', faults.awayMs > 0, now)
      recording.faults.set('503', faults.failRate > 0, now)
      recording.faults.set('slow', faults.latencyMs > 0, now)
    }

    return {
      now,
      state: connectionState,
      status: stats.status,
      since: this.#since,
      attempts: stats.reconnectAttempts,
      nextAttemptMs: connectionState === 'waiting' ? Math.max(0, this.#nextAttemptAt - now) : undefined,
      recoveries: Math.max(0, this.#opened - 1),
      sent: stats.sentMessages,
      received: stats.receivedMessages,
      dropped: stats.droppedMessages,
      queuedMessages: stats.queuedMessages,
      queuedBytes: stats.queuedBytes,
      droppedAudio: stats.droppedAudio,
      session: {
        state: this.#session,
        unacknowledged: stats.unacknowledgedMessages,
        ackedAt: this.#ackedAt,
        loss: this.#loss,
      },
      breaker: {
        state: breakerState,
        failures: failureCount,
        requests: requestCount,
        probeMs: nextAttempt === null ? undefined : Math.max(0, nextAttempt - Date.now()),
      },
      buckets: [
        this.#bucket(`GET ${PULSE_PATH}`, 'api'),
        this.#bucket('POST /api/stop-generation', 'control'),
      ],
      http: { calls: totalRequests, retries, failed: failedRequests },
      faults,
    }
  }

  #bucket(endpoint: string, category: string): Bucket {
    const { tokens, capacity, rate } = this.#endpoint.api.rateLimiter.getInfo(endpoint, category)
    return { endpoint, category, tokens, capacity, rate }
  }

  /** The backend said for how long it stays away: from then on the page counts by itself. */
  #faultsAt(now: number): Vitals['faults'] {
    if (typeof this.#faults !== 'object') return this.#faults
    return { ...this.#faults, awayMs: Math.max(0, this.#awayUntil - now) }
  }

  async #follow(reply: Reply): Promise<void> {
    const { conversation } = this
    const { id } = reply
    try {
      for await (const piece of reply) conversation.piece(id, piece, performance.now())
      conversation.ended(id)
    } catch (error) {
      const { code, message } = error as CommsError
      conversation.failed(id, code === 'SESSION_LOST', PROBLEMS[code] ?? message)
    }
    this.#replies.delete(id)
  }

  #followConnection(): void {
    const { connection } = this.#endpoint
    this.recording.line.enter(connection.connectionState, this.#since)
    connection.on('connectionState', (state, before) => {
      this.#since = performance.now()
      this.recording.line.enter(state, this.#since)
      if (state === 'open') {
        this.#opened += 1
        this.#enterSession('open')
      }
      if (before === 'open') {
        this.conversation.lineLost(this.#since)
        this.#enterSession('kept')
      }
      this.onChange()
    })
    connection.on('delivered', () => {
      this.#ackedAt = performance.now()
      this.recording.acks.add(1, this.#ackedAt)
    })
    connection.on('sessionLost', ({ reason, inDoubt }) => {
      this.#loss = { reason, inDoubt: inDoubt.length, at: performance.now() }
      this.#enterSession('lost')
      this.onChange()
    })
    connection.on('reconnecting', ({ delay }) => {
      this.#nextAttemptAt = performance.now() + delay
    })
    connection.on('open', () => {
      this.conversation.lineOpened()
      // A backend without faults to order answers 404: the panel says so.
      void this.#askForFaults().catch(() => {})
    })
    connection.on('message', (message) => this.#onMessage(message))
    connection.on('statusChange', () => this.onChange())
    // Shown by the states that follow from it.
    connection.on('error', () => {})
  }

  #enterSession(state: SessionName): void {
    this.#session = state
    this.recording.session.enter(state, performance.now())
  }

  /** The backend says that a question failed, or why it refuses one. */
  #onMessage(message: unknown): void {
    if (typeof message !== 'object' || message === null) return
    const { type, request_id, error, message: reason } = message as Record<string, unknown>
    if (typeof request_id !== 'string' || (type !== 'error' && error !== true)) return
    this.conversation.failed(
      request_id,
      false,
      typeof reason === 'string' ? `The backend says: ${reason}.` : 'The assistant failed.',
    )
  }

  #followRequests(): void {
    const { api } = this.#endpoint
    const { outcomes } = this.recording
    const note = (...[entry]: Parameters<EventLog['add']>) => {
      this.log.add(entry)
      this.onChange()
    }
    const now = () => ({ at: Date.now() })
    api.on('response', ({ method, url, status, attempts, duration }) => {
      outcomes.add('ok', performance.now())
      const text = `${status} · ${formatMs(duration)}${attempts > 1 ? ` · attempt ${attempts}` : ''}`
      note({ ...now(), kind: 'ok', subject: subjectOf(method, url), text, routine: attempts === 1 })
    })
    api.on('retry', ({ method, url, delay, error }) => {
      outcomes.add('retry', performance.now())
      const text = `${reasonOf(error)} · again in ${formatMs(delay)}`
      note({ ...now(), kind: 'retry', subject: subjectOf(method, url), text, routine: false })
    })
    api.on('limited', ({ endpoint, retryAfter }) => {
      outcomes.add('limited', performance.now())
      const text = `over its limit · free in ${formatMs(retryAfter)}`
      note({ ...now(), kind: 'limited', subject: endpoint, text, routine: true })
    })
    api.on('failure', ({ method, url, error, attempts }) => {
      const { code } = error as CommsError
      if (code === 'RATE_LIMITED') return
      outcomes.add('failed', performance.now())
      const text = `${reasonOf(error)}${attempts > 1 ? ` · gave up after ${attempts} attempts` : ''}`
      const routine = code === 'CIRCUIT_OPEN'
      note({ ...now(), kind: 'failed', subject: subjectOf(method, url), text, routine })
    })
    api.on('breaker', ({ state, reason }) => {
      const text = `${breakerName(state)} · ${reason.replaceAll('-', ' ')}`
      note({
        ...now(),
        kind: state === 'CLOSED' ? 'ok' : 'breaker',
        subject: 'Breaker',
        text,
        routine: false,
      })
    })
  }

  /** Tells the backend what to do wrong, and learns what it does. */
  async #askForFaults(change?: object): Promise<void> {
    const response = await fetch(FAULTS_PATH, change && { method: 'POST', body: JSON.stringify(change) })
    if (response.status === 404) this.#faults = 'none'
    if (!response.ok) return
    const { failRate, latencyMs, refusingMs } = await response.json()
    this.#faults = { failRate, latencyMs, awayMs: refusingMs }
    this.#awayUntil = performance.now() + refusingMs
    this.onChange()
  }
}

function breakerName(state: string): BreakerName {
  return state === 'OPEN' ? 'open' : state === 'HALF_OPEN' ? 'half-open' : 'closed'
}

function subjectOf(method: string, url: string): string {
  return `${method} ${new URL(url).pathname}`
}

/** Why a request failed, in a word or two. */
function reasonOf(error: unknown): string {
  const { code, status } = error as Partial<ApiError>
  if (code === 'HTTP_STATUS') return String(status)
  if (code === 'CIRCUIT_OPEN') return 'not sent: breaker open'
  return code ? code.toLowerCase().replaceAll('_', ' ') : String(error)
}
