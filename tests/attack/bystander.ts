// Somebody who does nothing wrong, from another address than the attackers': is he served, and how soon?

import { Agent } from 'undici'
import { WebSocket } from 'ws'
import { until } from '../support/misbehavingServer.ts'
import type { TargetKind } from './Target.ts'
import { BYSTANDER } from './wire.ts'

export interface Served {
  /** Milliseconds that the health route took, each time. */
  readonly healthMs: number[]
  /** Requests and messages that were not answered in time. */
  missed: number
  /** Messages that were answered on a line opened before the attack. */
  answers: number
  /** Lines opened during the attack. */
  opened: number
}

const PATIENCE_MS = 90_000

export class Bystander {
  readonly #target: { readonly kind: TargetKind; readonly port: number }
  readonly #agent = new Agent({ connect: { localAddress: BYSTANDER } })
  readonly #line: WebSocket
  #answered = 0
  #asked = 0

  constructor(target: { readonly kind: TargetKind; readonly port: number }) {
    this.#target = target
    this.#line = this.#connect()
    this.#line.on('message', (data) => {
      const text = String(data)
      if (text.includes('"end":true') || /^\d+:/.test(text)) this.#answered += 1
    })
  }

  /** Resolves when he has his line. */
  async ready(): Promise<this> {
    await opened(this.#line)
    if (this.#isSession) {
      this.#line.send('{"t":"open"}')
      await new Promise((resolve) => this.#line.once('message', resolve))
    }
    return this
  }

  /** Asks again and again until `over`. */
  async watch(over: () => boolean): Promise<Served> {
    const served: Served = { healthMs: [], missed: 0, answers: 0, opened: 0 }
    while (!over()) {
      const started = performance.now()
      if (await this.#isHealthy()) served.healthMs.push(performance.now() - started)
      else served.missed += 1
      if (await this.#isAnswered()) served.answers += 1
      else served.missed += 1
      if (await this.#isLetIn()) served.opened += 1
      else served.missed += 1
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return served
  }

  async end(): Promise<void> {
    this.#line.terminate()
    await this.#agent.destroy()
  }

  get #isSession(): boolean {
    return this.#target.kind !== 'createBackend'
  }

  #connect(): WebSocket {
    const protocols = this.#isSession ? ['guru.v1'] : []
    const socket = new WebSocket(`ws://127.0.0.1:${this.#target.port}/ws`, protocols, {
      localAddress: BYSTANDER,
    })
    socket.on('error', () => {})
    return socket
  }

  async #isHealthy(): Promise<boolean> {
    try {
      const { statusCode, body } = await this.#agent.request({
        origin: `http://127.0.0.1:${this.#target.port}`,
        path: '/v1/health',
        method: 'GET',
        headersTimeout: PATIENCE_MS,
      })
      await body.text()
      return statusCode === 200
    } catch {
      return false
    }
  }

  async #isAnswered(): Promise<boolean> {
    this.#asked += 1
    const n = this.#asked
    if (this.#isSession)
      this.#line.send(`${n}:${this.#target.kind === 'FastAPI' ? JSON.stringify({ n }) : 'hello'}`)
    else this.#line.send(JSON.stringify({ type: 'message', role: 'user', id: `${n}`, content: 'hello' }))
    if (this.#isSession) this.#line.send(JSON.stringify({ t: 'ack', rx: this.#answered }))
    return holds(() => this.#answered >= n)
  }

  async #isLetIn(): Promise<boolean> {
    const socket = this.#connect()
    try {
      return await holds(() => socket.readyState === WebSocket.OPEN)
    } finally {
      socket.terminate()
    }
  }
}

async function opened(socket: WebSocket): Promise<void> {
  await until(() => socket.readyState === WebSocket.OPEN, 'the bystander has a line')
}

const holds = (test: () => boolean) =>
  until(test, 'he is served', PATIENCE_MS).then(
    () => true,
    () => false,
  )
