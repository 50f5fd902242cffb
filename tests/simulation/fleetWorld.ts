// One simulated life of a fleet: three server nodes whose sessions lie on one engine, a client that comes to any of them, and a
// process that posts messages from aside; all whole as they ship, in virtual time. Lines break, nodes die, stand still and drain, the
// engine is far or away for some. In the end the histories are compared. Everything follows from a seed.

import type { TimerHandle } from '../../src/core/clock.ts'
import type { Random } from '../../src/core/random.ts'
import { GuruConnection, type WebSocketClass } from '../../src/GuruConnection.ts'
import { type RedisSessionStore, redisSessionStore } from '../../src/redis/RedisSessionStore.ts'
import type { Session, SessionReceipt } from '../../src/server/Session.ts'
import { SessionSender } from '../../src/server/SessionSender.ts'
import { SessionServer } from '../../src/server/SessionServer.ts'
import { FakeNetwork } from '../../src/testing/FakeNetwork.ts'
import { History } from '../../src/testing/History.ts'
import { seededRandom } from '../../src/testing/seededRandom.ts'
import { VirtualClock } from '../../src/testing/VirtualClock.ts'
import { ModelEngine, ModelServer } from '../support/ModelServer.ts'
import { FreezableClock } from './FreezableClock.ts'
import { ProcessClock } from './ProcessClock.ts'

// What a connection fetches when it is first needed is there from the start: virtual time does not wait for files.
await import('../../src/connection/sessionLayer.ts')

export interface FleetReport {
  readonly messages: number
  readonly takeovers: number
  readonly deaths: number
  readonly freezes: number
  readonly lapses: number
  readonly inDoubt: number
  readonly again: number
  readonly violations: readonly string[]
}

/** One life of a node. */
interface Node {
  readonly index: number
  readonly network: FakeNetwork
  readonly freezing: FreezableClock
  readonly clock: ProcessClock
  readonly server: SessionServer
  readonly store: RedisSessionStore
  readonly client: WebSocketClass
  /** How its way to the engine is. */
  readonly line: { delay: number; loss: number }
  readonly live: Set<Session>
  /** What it sends and does not know to be recorded. */
  readonly unconfirmed: Set<string>
  leaving: boolean
}

const NODES = 3
const LEASE_MS = 3000

/** Timers ring at whole milliseconds: the sum of fractions may lie a hair before the moment that is waited for, for ever. */
class WholeClock extends VirtualClock {
  override setTimeout(callback: () => void, delayMs: number): TimerHandle {
    return super.setTimeout(callback, Math.ceil(delayMs))
  }
}

export class FleetWorld {
  readonly clock: VirtualClock = new WholeClock()
  readonly #random: Random
  readonly #log: ((line: string) => void) | undefined
  readonly #engine = new ModelServer(this.clock)
  readonly #up = new History()
  readonly #down = new History()
  readonly #posted = new History()
  readonly #nodes: Node[] = []
  readonly #violations: string[] = []
  #client!: GuruConnection
  #sender!: SessionSender
  #sid = ''
  #names = 0
  #takeovers = 0
  #deaths = 0
  #freezes = 0
  #lapses = 0

  constructor(seed: number, log?: (line: string) => void) {
    this.#random = seededRandom(seed)
    this.#log = log
  }

  async run(): Promise<FleetReport> {
    for (let index = 0; index < NODES; index += 1) this.#startNode(index)
    this.#startSender()
    this.#startClient()
    const steps = 20 + Math.floor(this.#random() * 60)
    for (let step = 0; step < steps; step += 1) {
      this.#act()
      await this.clock.advance(Math.round(this.#random() * (this.#random() < 0.15 ? 6000 : 200)))
    }
    await this.#heal()
    const histories = { up: this.#up, down: this.#down, posted: this.#posted }
    const counts = Object.values(histories).map(({ counts: each }) => each)
    const report: FleetReport = {
      messages: Object.values(histories).reduce((sum, { accepted }) => sum + accepted, 0),
      takeovers: this.#takeovers,
      deaths: this.#deaths,
      freezes: this.#freezes,
      lapses: this.#lapses,
      inDoubt: counts.reduce((sum, { inDoubt }) => sum + inDoubt, 0),
      again: counts.reduce((sum, { doubled }) => sum + doubled, 0),
      violations: [
        ...this.#violations,
        ...Object.entries(histories).flatMap(([way, history]) =>
          history.check().map((violation) => `${way}: ${violation}`),
        ),
        ...this.#leftovers(),
      ],
    }
    this.#client.dispose()
    this.#sender.close()
    for (const node of this.#nodes) node.clock.die()
    return report
  }

  #note(line: string): void {
    this.#log?.(`${this.clock.now().toFixed(0).padStart(7)}  ${line}`)
  }

  #act(): void {
    const draw = this.#random()
    const node = this.#nodes[Math.floor(this.#random() * NODES)] as Node
    if (draw < 0.3) this.#say()
    else if (draw < 0.5) this.#push(node)
    else if (draw < 0.6) this.#post()
    else if (draw < 0.68) this.#cut()
    else if (draw < 0.72) this.#swallow(node)
    else if (draw < 0.79) this.#freeze(node)
    else if (draw < 0.86) this.#kill(node)
    else if (draw < 0.91) this.#drain(node)
    else if (draw < 0.96) this.#farFromEngine(node)
    else this.clock.jumpWall(Math.round(this.#random() * 1000 - 500))
  }

  #name(kind: string): string {
    this.#names += 1
    return `${kind}${this.#names}`
  }

  #say(): void {
    const name = this.#name('c')
    this.#note(`the client sends ${name}`)
    this.#up.sent(name)
    this.#client.send({ name }).delivered.then(
      () => this.#up.delivered(name),
      () => {},
    )
  }

  #push(node: Node): void {
    // In one that was never heard from, its client may not know of it.
    const session = [...node.live].find(({ over, id }) => !over && id === this.#sid)
    if (!session || node.freezing.frozen || !node.clock.alive) return
    const name = this.#name(`n${node.index}-`)
    this.#note(`node ${node.index} sends ${name}`)
    this.#follow(this.#down, name, session.send({ name }), node.clock, node.unconfirmed)
  }

  #post(): void {
    if (this.#sid === '') return
    const name = this.#name('p')
    this.#note(`somebody posts ${name}`)
    this.#follow(this.#posted, name, this.#sender.send(this.#sid, { name }), undefined, new Set())
  }

  #follow(
    history: History,
    name: string,
    receipt: SessionReceipt,
    clock: ProcessClock | undefined,
    unconfirmed: Set<string>,
  ): void {
    const alive = () => clock?.alive ?? true
    history.sent(name)
    unconfirmed.add(name)
    receipt.stored.then(
      () => alive() && unconfirmed.delete(name),
      () => {
        if (!alive() || !unconfirmed.delete(name)) return
        this.#note(`it is not known whether ${name} is recorded`)
        history.inDoubt(name)
      },
    )
    receipt.delivered.then(
      () => alive() && history.delivered(name),
      () => {},
    )
  }

  // Faults.

  #cut(): void {
    this.#note('lines are cut')
    for (const { network } of this.#nodes) network.cut()
  }

  #swallow(node: Node): void {
    this.#note(`frames to and from node ${node.index} vanish`)
    node.network.swallows = true
    this.clock.setTimeout(() => {
      node.network.swallows = false
    }, this.#random() * 12_000)
  }

  #freeze(node: Node): void {
    if (node.freezing.frozen || !node.clock.alive) return
    this.#freezes += 1
    this.#note(`node ${node.index} stands still`)
    node.freezing.freeze()
    this.clock.setTimeout(() => this.#thaw(node), this.#random() * 3 * LEASE_MS)
  }

  #thaw(node: Node): void {
    if (!node.freezing.frozen) return
    this.#note(`node ${node.index} goes on`)
    node.freezing.thaw()
  }

  #kill(node: Node): void {
    if (this.#nodes[node.index] !== node || !node.clock.alive) return
    this.#deaths += 1
    this.#note(`node ${node.index} dies`)
    node.clock.die()
    node.freezing.thaw()
    node.network.killServer()
    for (const name of node.unconfirmed) this.#down.senderForgot(name)
    this.clock.setTimeout(() => this.#startNode(node.index), this.#random() * 3000)
  }

  #drain(node: Node): void {
    if (node.leaving || !node.clock.alive || node.freezing.frozen) return
    node.leaving = true
    this.#note(`node ${node.index} drains`)
    const { server, store } = node
    void server
      .drain({ spreadMs: 500 })
      .then(() => server.close({ graceMs: 1000 }))
      .then(() => store.close())
      .then(() => {
        if (!node.clock.alive) return
        this.#note(`node ${node.index} has left`)
        node.network.killServer()
        node.clock.die()
        this.clock.setTimeout(() => this.#startNode(node.index), this.#random() * 1000)
      })
  }

  #farFromEngine(node: Node): void {
    const away = this.#random() < 0.5
    this.#note(`node ${node.index} is ${away ? 'cut off' : 'far'} from the engine`)
    if (away) node.line.loss = 1
    else Object.assign(node.line, { delay: this.#random() * 2000, loss: 0.1 })
    this.clock.setTimeout(
      () => Object.assign(node.line, { delay: 2, loss: 0 }),
      this.#random() * 3 * LEASE_MS,
    )
  }

  // Processes.

  #store(clock: ProcessClock, line: { delay: number; loss: number }): RedisSessionStore {
    const engine = new ModelEngine(this.#engine, clock, {
      delayMs: () => this.#random() * line.delay,
      loses: () => this.#random() < line.loss,
    })
    return redisSessionStore({
      engine,
      lease: LEASE_MS,
      timeout: 1500,
      clock,
      random: this.#random,
    })
  }

  #startSender(): void {
    const clock = new ProcessClock(this.clock)
    const store = this.#store(clock, { delay: 2, loss: 0.02 })
    this.#sender = new SessionSender({ store, clock, receiptTimeout: 20_000 })
  }

  #startClient(): void {
    const world = this
    // A plain balancer: a connection goes to whichever node.
    const Anywhere = function Anywhere(url: string, protocols: string[]) {
      const { client: Socket } = world.#nodes[Math.floor(world.#random() * NODES)] as Node
      return new Socket(url, protocols)
    } as unknown as WebSocketClass
    this.#client = new GuruConnection({
      url: 'ws://fleet/ws',
      session: 'required',
      WebSocket: Anywhere,
      clock: this.clock,
      random: this.#random,
      healthUrl: false,
      reconnectDelay: 200,
      pingInterval: 3000,
      pongTimeout: 2000,
      connectTimeout: 5000,
      handlerTimeout: 30_000,
    })
    this.#client.handle(async (message) => {
      const { name } = message as { name: string }
      this.#note(`the client handles ${name}`)
      const history = name.startsWith('p') ? this.#posted : this.#down
      history.handled(name, false)
      await this.#aWhile(this.clock)
    })
    this.#client.on('sessionLost', ({ reason }) => {
      this.#violations.push(`the client has lost its session: ${reason}`)
    })
    this.#client.on('connectionState', (state) => this.#note(`client: ${state}`))
  }

  async #aWhile(clock: { setTimeout(run: () => void, ms: number): unknown }): Promise<void> {
    const draw = this.#random()
    if (draw > 0.4) await new Promise<void>((resolve) => clock.setTimeout(resolve, draw * 300))
  }

  #startNode(index: number): void {
    const freezing = new FreezableClock(this.clock)
    const clock = new ProcessClock(freezing)
    const network = new FakeNetwork({ clock: freezing, random: this.#random })
    const line = { delay: 2, loss: 0 }
    const store = this.#store(clock, line)
    const server = new SessionServer({
      store,
      clock,
      random: this.#random,
      ttl: 600_000,
      maxMessages: this.#random() < 0.3 ? 4 : 64,
      pingInterval: 4000,
      pongTimeout: 2000,
      handlerTimeout: 30_000,
      handoverTimeout: this.#random() < 0.3 ? 50 : 1000,
    })
    const { WebSocket: client } = network.process()
    const node: Node = {
      index,
      network,
      freezing,
      clock,
      server,
      store,
      client,
      line,
      live: new Set(),
      unconfirmed: new Set(),
      leaving: false,
    }
    this.#nodes[index] = node
    server.on('error', (error) => clock.alive && this.#note(`node ${index}: ${error}`))
    server.onSession((session) => this.#onSession(node, session))
    server.attach(network.listen())
  }

  #onSession(node: Node, session: Session): void {
    const { clock, index } = node
    this.#takeovers += 1
    this.#note(`node ${index} has session ${session.id.slice(0, 4)}`)
    this.#up.receiverDied()
    node.live.add(session)
    const owner = () => this.#engine.ownerOf(session.id)
    const mine = owner()
    const isMine = (what: string) => {
      if (owner() !== mine) this.#violations.push(`node ${index} ${what} after it has lost the session`)
    }
    session.handle(async (message, { redelivered }) => {
      if (!clock.alive) return
      const { name } = message as { name: string }
      this.#note(`node ${index} handles ${name}${redelivered ? ' (again?)' : ''}`)
      isMine(`handles ${name}`)
      this.#sid = session.id
      this.#up.handled(name, redelivered)
      await this.#aWhile(clock)
    })
    session.on('lost', ({ reason, inDoubt }) => {
      node.live.delete(session)
      if (!clock.alive) return
      if (reason === 'leaseLost') this.#lapses += 1
      this.#note(`node ${index} has lost the session: ${reason}`)
      if (reason !== 'leaseLost' && reason !== 'takenOver') this.#violations.push(`lost: ${reason}`)
      for (const { data } of inDoubt) {
        const { name } = JSON.parse(String(data)) as { name: string }
        // What was posted is safe in its inbox, or its fate is told to who posted it.
        if (name.startsWith('p') || !node.unconfirmed.delete(name)) continue
        this.#down.inDoubt(name)
      }
    })
  }

  /** No more faults: what is on its way arrives. */
  async #heal(): Promise<void> {
    this.#note('no more faults')
    for (let second = 0; second < 120 && !(second > 30 && this.#isAtRest); second += 1) {
      for (const node of this.#nodes) {
        this.#thaw(node)
        node.network.swallows = false
        Object.assign(node.line, { delay: 2, loss: 0 })
      }
      await this.clock.advance(1000)
    }
    await this.clock.advance(1000)
  }

  get #isAtRest(): boolean {
    const { connected, queuedMessages, unacknowledgedMessages } = this.#client.getStats()
    const queued = this.#nodes.reduce((sum, { server }) => sum + server.getStats().queuedBytes, 0)
    return connected && queuedMessages + unacknowledgedMessages + queued === 0
  }

  #leftovers(): string[] {
    const found: string[] = []
    const { connected, queuedMessages, unacknowledgedMessages } = this.#client.getStats()
    if (!connected) found.push(`the client is ${this.#client.connectionState} although all is well`)
    if (queuedMessages + unacknowledgedMessages > 0) found.push('the client still has messages to send')
    const owned = this.#nodes.filter(({ server }) => server.sessions.has(this.#sid)).length
    if (this.#sid !== '' && owned !== 1) found.push(`${owned} nodes have the session`)
    if (this.#engine.size > 20) found.push(`the engine keeps ${this.#engine.size} sessions`)
    return found
  }
}
