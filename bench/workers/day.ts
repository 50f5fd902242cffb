// A day of a client and its server in simulated time: messages both ways, heartbeats, and every few minutes a cut, a server that is
// gone for a while, or a network that swallows everything. After every hour the heap is looked at.

import { GuruConnection } from 'guru-comms/GuruConnection'
import { type Session, SessionServer } from 'guru-comms/server'
import { FakeNetwork, seededRandom, VirtualClock } from 'guru-comms/testing'
import { answer } from '../harness/child.ts'
import { settledHeap } from '../harness/heap.ts'

const HOUR_MS = 3_600_000
const HOURS = 24
/** Messages each way at a time. */
const BURST = 25
const MEAN_BETWEEN_FAULTS_MS = 10 * 60_000

export interface Day {
  /** Heap bytes at the start and after each hour. */
  heaps: number[]
  sent: number
  received: number
  reconnections: number
  heartbeats: number
  healthPolls: number
  faults: number
  /** Seconds that it took. */
  seconds: number
}

/** Counters of one way; what comes out of order or twice is an error. */
class Way {
  sent = 0
  received = 0
  #last = 0

  /** The next message, whether it can be sent or not. */
  peek(): object {
    return {
      type: 'note',
      n: this.sent + 1,
      text: 'a few words of an answer that is being streamed to its reader',
    }
  }

  next(): object {
    const message = this.peek()
    this.sent += 1
    return message
  }

  arrived(n: number): void {
    if (n <= this.#last) throw new Error(`message ${n} came after ${this.#last}`)
    this.#last = n
    this.received += 1
  }
}

/** The server's end of a connection, as far as it is used here. */
interface ServerSocket {
  readonly readyState: number
  send(data: string): void
  on(name: 'message', listener: (data: Buffer) => void): void
}

function onConnection(listener: unknown, hear: (socket: ServerSocket) => void): void {
  ;(listener as { on(name: 'connection', hear: (socket: ServerSocket) => void): void }).on('connection', hear)
}

interface Line {
  push(message: object): boolean
  pings(): number
}

/** A server that knows nothing of sessions: answers pings, pushes to whoever is there. */
function plainServer(network: FakeNetwork, up: Way): Line {
  let current: ServerSocket | undefined
  let pings = 0
  onConnection(network.listen(), (socket) => {
    current = socket
    socket.on('message', (data) => {
      const message = JSON.parse(data.toString()) as { type: string; n: number }
      if (message.type === 'ping') {
        pings += 1
        socket.send('{"type":"pong"}')
      } else up.arrived(message.n)
    })
  })
  return {
    pings: () => pings,
    push(message) {
      if (current?.readyState !== 1) return false
      current.send(JSON.stringify(message))
      return true
    },
  }
}

function sessionServer(network: FakeNetwork, clock: VirtualClock, up: Way): Line {
  let session: Session | undefined
  let pings = 0
  const server = new SessionServer({ clock, random: network.random })
  server.onSession((one) => {
    session = one
    one.handle((message) => up.arrived((message as { n: number }).n))
  })
  const listener = network.listen()
  server.attach(listener)
  onConnection(listener, (socket) => {
    socket.on('message', (data) => {
      if (data.toString().startsWith('{"t":"ping"')) pings += 1
    })
  })
  return {
    pings: () => pings,
    push(message) {
      session?.send(message)
      return session !== undefined
    },
  }
}

answer({
  async live({
    session,
    messages,
    seed,
  }: {
    session: boolean
    messages: number
    seed: number
  }): Promise<Day> {
    const clock = new VirtualClock()
    const random = seededRandom(seed)
    const network = new FakeNetwork({ clock, random })
    const [up, down] = [new Way(), new Way()]
    const line = session ? sessionServer(network, clock, up) : plainServer(network, up)
    const day: Day = {
      heaps: [],
      sent: 0,
      received: 0,
      reconnections: -1,
      heartbeats: 0,
      healthPolls: 0,
      faults: 0,
      seconds: 0,
    }
    // The health address lies behind the same network.
    globalThis.fetch = async (_url, init) => {
      day.healthPolls += 1
      if (network.refuses) throw new TypeError('nobody answers')
      if (!network.swallows) return new Response('{"status":"ok"}')
      return new Promise((_resolve, reject) => {
        init?.signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true })
      })
    }
    const connection = new GuruConnection({
      url: 'ws://server/ws',
      session: session ? 'required' : 'off',
      WebSocket: network.process().WebSocket,
      clock,
      random,
    })
    connection.on('open', () => {
      day.reconnections += 1
    })
    connection.handle((message) => down.arrived((message as { n: number }).n))

    let faultAt = Number.POSITIVE_INFINITY
    const nextFault = () => {
      faultAt = clock.now() - Math.log(1 - random()) * MEAN_BETWEEN_FAULTS_MS
    }
    const heal = (fault: 'refuses' | 'swallows', ms: number) => {
      network[fault] = true
      clock.setTimeout(() => {
        network[fault] = false
      }, ms)
    }
    const breakSomething = () => {
      day.faults += 1
      const draw = random()
      if (draw < 0.5) network.cut()
      else if (draw < 0.8) {
        heal('refuses', random() * 60_000)
        network.cut()
      } else heal('swallows', random() * 90_000)
      nextFault()
    }
    const quiet = async () => {
      for (let seconds = 0; seconds < 300; seconds += 1) {
        const { queuedMessages, connectionState } = connection.getStats()
        if (seconds > 5 && queuedMessages === 0 && connectionState === 'open') break
        await clock.advance(1000)
      }
      await clock.advance(5000)
    }

    // What nobody was there for is made up for later: the day has its number of messages.
    let owed = 0
    const push = () => {
      while (owed > 0 && line.push(down.peek())) {
        down.next()
        owed -= 1
      }
    }

    const began = performance.now()
    await clock.advance(1000)
    nextFault()
    day.heaps.push(await settledHeap())
    const bursts = Math.ceil(messages / HOURS / BURST / 2)
    for (let hour = 1; hour <= HOURS; hour += 1) {
      for (let burst = 0; burst < bursts; burst += 1) {
        if (clock.now() >= faultAt) breakSomething()
        for (let left = BURST; left > 0; left -= 1) connection.send(up.next())
        owed += BURST
        push()
        await clock.advance(HOUR_MS / bursts)
      }
      await quiet()
      push()
      await quiet()
      day.heaps.push(await settledHeap())
    }
    day.sent = up.sent + down.sent
    day.received = up.received + down.received
    day.heartbeats = line.pings()
    day.seconds = (performance.now() - began) / 1000
    if (session && day.received !== day.sent) {
      throw new Error(`${day.sent} were sent in a session, ${day.received} arrived`)
    }
    connection.dispose()
    await clock.advance(60_000)
    return day
  },
})
