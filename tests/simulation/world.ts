// One simulated life of a client and a server, whole as they ship, in virtual time: they talk, the network breaks,
// stalls, refuses, processes die, and in the end the histories of both apps are compared. Everything follows from a seed.

import type { Random } from '../../src/core/random.ts'
import { GuruConnection, type MessageContext } from '../../src/GuruConnection.ts'
import type { Session } from '../../src/server/Session.ts'
import { SessionServer } from '../../src/server/SessionServer.ts'
import type { OutboxStore, SessionStore } from '../../src/session/store.ts'
import { FakeNetwork } from '../../src/testing/FakeNetwork.ts'
import { History } from '../../src/testing/History.ts'
import { MemoryDisk } from '../../src/testing/MemoryOutbox.ts'
import { MemorySessionDisk, type MemorySessionStore } from '../../src/testing/MemorySessionStore.ts'
import { seededRandom } from '../../src/testing/seededRandom.ts'
import { VirtualClock } from '../../src/testing/VirtualClock.ts'
import { ProcessClock } from './ProcessClock.ts'

// What a connection fetches when it is first needed is there from the start: virtual time does not wait for files.
await import('../../src/connection/sessionLayer.ts')

/** What a world is like; drawn from the seed. */
export interface WorldKind {
  /** Whether its sessions survive the client's, the server's process. */
  readonly durableClient: boolean
  readonly durableServer: boolean
  /** Handlers record themselves in the store's transaction. */
  readonly exactlyOnce: boolean
  readonly deaths: boolean
  readonly onSessionLost: 'report' | 'resend'
  /** Milliseconds a session outlives its connection. */
  readonly ttl: number
  readonly steps: number
}

export interface WorldReport {
  readonly kind: WorldKind
  readonly up: History['counts'] & { accepted: number }
  readonly down: History['counts'] & { accepted: number }
  readonly cuts: number
  readonly deaths: number
  readonly lostSessions: number
  readonly violations: readonly string[]
}

interface Message {
  readonly name: string
}

const nameOf = (data: unknown): string =>
  typeof data === 'string' ? (JSON.parse(data) as Message).name : (data as Message).name

/** The same outbox, which a process that has died does not load any more. */
function mortal(outbox: OutboxStore, clock: ProcessClock): OutboxStore {
  const load = outbox.load.bind(outbox)
  return Object.assign(outbox, {
    load: () => (clock.alive ? load() : new Promise<never>(() => {})),
  })
}

/** The same store, each of whose writes takes a while. */
function slow(store: MemorySessionStore, clock: ProcessClock, delayMs: number): SessionStore {
  return {
    find: (sid) => store.find(sid),
    list: () => store.list(),
    transact: store.transact,
    close: () => store.close(),
    async write(...args) {
      await new Promise<void>((resolve) => clock.setTimeout(resolve, delayMs))
      return store.write(...args)
    },
  }
}

function drawKind(random: Random): WorldKind {
  const durableClient = random() < 0.6
  const durableServer = random() < 0.6
  return {
    durableClient,
    durableServer,
    exactlyOnce: durableClient && durableServer && random() < 0.5,
    deaths: random() < 0.6,
    onSessionLost: random() < 0.7 ? 'report' : 'resend',
    ttl: random() < 0.7 ? 120_000 : 3000,
    steps: 20 + Math.floor(random() * 60),
  }
}

export class World {
  readonly clock = new VirtualClock()
  readonly kind: WorldKind
  readonly #random: Random
  readonly #network: FakeNetwork
  readonly #up: History
  readonly #down: History
  readonly #outbox = new MemoryDisk()
  readonly #sessions = new MemorySessionDisk()
  #store: MemorySessionStore | undefined
  /** Messages whose acceptance nobody has confirmed yet. */
  readonly #unconfirmed = { up: new Set<string>(), down: new Set<string>() }
  readonly #log: ((line: string) => void) | undefined
  #client: { readonly connection: GuruConnection; readonly clock: ProcessClock; die(): void } | undefined
  #server: { readonly server: SessionServer; readonly clock: ProcessClock } | undefined
  #live = new Set<Session>()
  #names = 0
  #cuts = 0
  #deaths = 0
  #lost = 0

  constructor(seed: number, log?: (line: string) => void) {
    this.#random = seededRandom(seed)
    this.#log = log
    this.kind = drawKind(this.#random)
    const { exactlyOnce } = this.kind
    this.#up = new History({ exactlyOnce })
    this.#down = new History({ exactlyOnce })
    this.#network = new FakeNetwork({ clock: this.clock, random: this.#random })
  }

  async run(): Promise<WorldReport> {
    this.#startServer()
    this.#startClient()
    for (let step = 0; step < this.kind.steps; step += 1) {
      this.#act()
      await this.clock.advance(this.#random() < 0.1 ? this.#random() * 6000 : this.#random() * 200)
    }
    await this.#heal()
    const counts = (history: History) => ({ accepted: history.accepted, ...history.counts })
    const report = {
      kind: this.kind,
      up: counts(this.#up),
      down: counts(this.#down),
      cuts: this.#cuts,
      deaths: this.#deaths,
      lostSessions: this.#lost,
      violations: [
        ...this.#up.check().map((violation) => `client to server: ${violation}`),
        ...this.#down.check().map((violation) => `server to client: ${violation}`),
        ...this.#leftovers(),
      ],
    }
    this.#client?.connection.dispose()
    await this.clock.advance(1)
    return report
  }

  #note(line: string): void {
    this.#log?.(`${this.clock.now().toFixed(0).padStart(7)}  ${line}`)
  }

  #act(): void {
    const { kind } = this
    const draw = this.#random()
    if (draw < 0.35) this.#say()
    else if (draw < 0.65) this.#push()
    else if (draw < 0.78) this.#cut()
    else if (draw < 0.83) this.#for('swallows', 'the network swallows everything', 12_000)
    else if (draw < 0.88) this.#for('refuses', 'nobody answers', 4000)
    else if (draw < 0.9) this.#network.latencyMs = this.#random() < 0.5 ? [1, 20] : [50, 900]
    else if (draw < 0.92) this.#sleep()
    else if (draw < 0.94)
      void this.#server?.server.drain({ spreadMs: 500 }).then(() => this.#restartServer(false))
    else if (draw < 0.97 && kind.deaths) this.#killClient()
    else if (kind.deaths) this.#restartServer(true)
  }

  #say(): void {
    const client = this.#client
    if (!client) return
    for (let left = 1 + Math.floor(this.#random() * 4); left > 0; left -= 1) {
      const name = this.#name('c')
      const { connection, clock } = client
      const receipt = connection.send({ name })
      this.#up.sent(name)
      this.#unconfirmed.up.add(name)
      receipt.stored.then(
        () => clock.alive && this.#unconfirmed.up.delete(name),
        () => {},
      )
      receipt.delivered.then(
        () => clock.alive && this.#up.delivered(name),
        () => {},
      )
      this.#note(`client sends ${name}`)
    }
  }

  #push(): void {
    const server = this.#server
    const [session] = [...this.#live].filter(({ over }) => !over).slice(-1)
    if (!server || !session) return
    for (let left = 1 + Math.floor(this.#random() * 4); left > 0; left -= 1) {
      const name = this.#name('s')
      const receipt = session.send({ name })
      this.#down.sent(name)
      this.#unconfirmed.down.add(name)
      receipt.stored.then(
        () => server.clock.alive && this.#unconfirmed.down.delete(name),
        () => {},
      )
      receipt.delivered.then(
        () => server.clock.alive && this.#down.delivered(name),
        () => {},
      )
      this.#note(`server sends ${name}`)
    }
  }

  #name(side: 'c' | 's'): string {
    this.#names += 1
    return `${side}${this.#names}`
  }

  #cut(): void {
    this.#cuts += 1
    this.#note('the line is cut')
    this.#network.cut()
  }

  #for(fault: 'swallows' | 'refuses', words: string, atMostMs: number): void {
    this.#note(words)
    this.#network[fault] = true
    this.clock.setTimeout(() => {
      this.#network[fault] = false
    }, this.#random() * atMostMs)
  }

  #sleep(): void {
    const ms = this.#random() * 20_000
    this.#note(`the machine sleeps for ${Math.round(ms)} ms`)
    this.clock.sleep(ms)
    this.clock.jumpWall(this.#random() * 1000 - 500)
  }

  #startClient(): void {
    const clock = new ProcessClock(this.clock)
    const { WebSocket, die } = this.#network.process()
    const recording = this.#random() < 0.5 ? 'sync' : { clock, delayMs: this.#random() * 30 }
    const connection = new GuruConnection({
      url: 'ws://server/ws',
      session: 'required',
      WebSocket,
      clock,
      random: this.#random,
      healthUrl: false,
      reconnectDelay: 200,
      pingInterval: 3000,
      pongTimeout: 2000,
      onSessionLost: this.kind.onSessionLost,
      sessionTtl: this.kind.ttl,
      handlerTimeout: 30_000,
      ...(this.kind.durableClient && { storage: mortal(this.#outbox.outbox({ recording }), clock) }),
    })
    this.#client = { connection, clock, die }
    connection.handle((message, context) => this.#handle('down', clock, message, context))
    connection.on('dropped', ({ data }) => clock.alive && this.#up.dropped(nameOf(data)))
    connection.on('sessionLost', ({ reason, inDoubt, resent }) => {
      if (!clock.alive) return
      this.#lost += 1
      this.#note(
        `client: the session is lost (${reason}), in doubt: ${inDoubt.map(({ data }) => nameOf(data))}`,
      )
      for (const { data } of inDoubt) this.#up.inDoubt(nameOf(data), resent)
    })
    connection.on('error', (error) => clock.alive && this.#note(`client: ${error.message}`))
    connection.on('connectionState', (state) => clock.alive && this.#note(`client: ${state}`))
  }

  #startServer(): void {
    const clock = new ProcessClock(this.clock)
    this.#store = this.#sessions.store()
    const store = this.#random() < 0.5 ? this.#store : slow(this.#store, clock, this.#random() * 30)
    const server = new SessionServer({
      clock,
      random: this.#random,
      ttl: this.kind.ttl,
      maxMessages: this.#random() < 0.3 ? 2 : 1024,
      pingInterval: 4000,
      pongTimeout: 2000,
      handlerTimeout: 30_000,
      ...(this.kind.durableServer && { store }),
    })
    this.#server = { server, clock }
    this.#live = new Set()
    server.on('error', (error) => this.#note(`server: ${error}`))
    server.onSession((session) => {
      this.#live.add(session)
      this.#note(`server: session ${session.id.slice(0, 6)}`)
      session.handle((message, context) => this.#handle('up', clock, message, context))
      session.on('dropped', ({ data, reason }) => {
        if (!clock.alive) return
        this.#note(`server: ${nameOf(data)} was dropped (${reason})`)
        this.#down.dropped(nameOf(data))
      })
      const over = ({ inDoubt }: { inDoubt: readonly { data: unknown }[] }) => {
        this.#live.delete(session)
        if (clock.alive) for (const { data } of inDoubt) this.#down.inDoubt(nameOf(data))
      }
      session.on('lost', (end) => {
        if (clock.alive) this.#note(`server: session ${session.id.slice(0, 6)} is lost (${end.reason})`)
        over(end)
      })
      session.on('closed', over)
      session.on('error', (error) => this.#note(`server: ${error}`))
    })
    server.attach(this.#network.listen())
  }

  async #handle(
    way: 'up' | 'down',
    clock: ProcessClock,
    message: unknown,
    context: Pick<MessageContext, 'redelivered'> & { record(run: (effects: unknown) => void): unknown },
  ): Promise<void> {
    if (!clock.alive) return
    const name = nameOf(message)
    const history = way === 'up' ? this.#up : this.#down
    this.#note(
      `${way === 'up' ? 'server' : 'client'} handles ${name}${context.redelivered ? ' (again?)' : ''}`,
    )
    if (this.kind.exactlyOnce) {
      // What was recorded before must not have its effect again: `record` refuses, and that is the end of it.
      await Promise.resolve(context.record(() => history.handled(name, context.redelivered))).catch(() => {})
    } else history.handled(name, context.redelivered)
    const draw = this.#random()
    if (draw < 0.4) return
    await new Promise<void>((resolve) => clock.setTimeout(resolve, draw * 400))
    if (draw > 0.95) throw new Error('the handler failed')
  }

  #killClient(): void {
    const client = this.#client
    if (!client) return
    this.#deaths += 1
    this.#note('the client dies')
    this.#client = undefined
    client.clock.die()
    client.die()
    this.#outbox.kill()
    this.#down.receiverDied()
    this.#forget('up', this.kind.durableClient)
    this.clock.setTimeout(() => this.#startClient(), this.#random() * 3000)
  }

  #restartServer(death: boolean): void {
    const server = this.#server
    if (!server?.clock.alive) return
    this.#note(death ? 'the server dies' : 'the server has drained, and restarts')
    this.#deaths += 1
    this.#server = undefined
    server.clock.die()
    this.#network.killServer()
    this.#store?.close()
    this.#up.receiverDied()
    this.#forget('down', this.kind.durableServer)
    this.clock.setTimeout(() => this.#startServer(), this.#random() * 3000)
  }

  /** What a process held in memory alone when it died can be reported by nobody. */
  #forget(way: 'up' | 'down', durable: boolean): void {
    const history = way === 'up' ? this.#up : this.#down
    history.senderDied()
    if (durable) for (const name of this.#unconfirmed[way]) history.senderForgot(name)
    else history.senderForgot()
    this.#unconfirmed[way].clear()
  }

  /** No more faults: what is on its way arrives, what waits is sent, what is lost is noticed. */
  async #heal(): Promise<void> {
    this.#note('no more faults')
    this.#network.latencyMs = [1, 20]
    for (let second = 0; second < 300 && !(second > 30 && this.#isAtRest); second += 1) {
      await this.clock.advance(1000)
    }
    // What has just ended is still being recorded, and told after that.
    await this.clock.advance(1000)
  }

  get #isAtRest(): boolean {
    if (!this.#client || !this.#server) return false
    const { connected, queuedMessages, unacknowledgedMessages } = this.#client.connection.getStats()
    const server = [...this.#live].reduce((sum, session) => sum + session.queuedMessages, 0)
    return (
      connected &&
      queuedMessages === 0 &&
      unacknowledgedMessages === 0 &&
      (server === 0 || this.kind.ttl > 300_000)
    )
  }

  /** What must not be there at rest. */
  #leftovers(): string[] {
    const client = this.#client?.connection
    if (!client) return ['the client did not come back']
    const found: string[] = []
    if (!client.connected) found.push(`the client is ${client.connectionState} although the network is up`)
    const { queuedMessages, unacknowledgedMessages } = client.getStats()
    if (queuedMessages + unacknowledgedMessages > 0) found.push('the client still has messages to send')
    if (this.#network.links.size > 1) found.push(`there are ${this.#network.links.size} connections`)
    return found
  }
}
