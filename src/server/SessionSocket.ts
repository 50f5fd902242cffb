// One WebSocket that speaks guru.v1: frames in, in order, and held back while the server is busy with it; frames out,
// those of one turn together, and not without bound. What they mean is not its affair.

import type { Duplex } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import { CLOSE } from '../session/closeCodes.ts'
import type { Frame } from '../session/frames.ts'
import type { ConnectionWatch } from './ConnectionWatch.ts'
import { type Holder, ITEM_COST, ownerOf } from './MemoryBudget.ts'
import { SendBacklog, type Written } from './SendBacklog.ts'
import { LONGEST_TEXT, textFrame } from './textFrame.ts'

/** Nobody can read so slowly by accident. */
const TOO_SLOW = 1013
/** RFC 6455 section 5.5: what a close frame has room for beside its code. */
const MAX_REASON_BYTES = 123

/** A reader that takes nothing for so long is given up. */
const STUCK_MS = 30_000
const NOTEWORTHY_BYTES = 16 * 1024
const CONTROL_WINDOW_MS = 2000
const ACK = '{"t":"ack"'
/** What a connection carries once it has said for whom. */
export interface FrameReceiver {
  frame(conn: number, frame: Frame): void
}

export interface SocketOwner {
  /** A frame came in, and it carries nothing yet. */
  frame(socket: SessionSocket, frame: Frame): void
  /** Whether frames have to wait. */
  isBusy(socket: SessionSocket): boolean
  /** It has ended by itself with this code, or its reader was given up; may be told more than once. */
  closed(socket: SessionSocket, code: number): void
}

// Shared functions instead of closures: with ten thousand connections it tells.
const CARRIED: unique symbol = Symbol('what this socket carries')

interface Carrier extends WebSocket {
  [CARRIED]?: SessionSocket
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  ;(this as Carrier)[CARRIED]?.received(data, isBinary)
}

function onPing(this: WebSocket, data: Buffer): void {
  ;(this as Carrier)[CARRIED]?.pinged(data)
}

function onPong(this: WebSocket): void {
  ;(this as Carrier)[CARRIED]?.ponged()
}

function onClose(this: WebSocket, code: number): void {
  ;(this as Carrier)[CARRIED]?.gone(code)
}

/** A frame that breaks RFC 6455 or the size limit: `ws` closes with the right code by itself, in its own time. */
function onError(this: WebSocket): void {
  ;(this as Carrier)[CARRIED]?.gone(CLOSE.silent)
}

export class SessionSocket implements Holder {
  /** Its number in the table. */
  readonly conn: number
  readonly #socket: WebSocket
  readonly #tcp: Duplex
  readonly #owner: SocketOwner
  readonly #maxBufferedBytes: number
  /** Frames that came in while it was busy, and after them. */
  #held: Frame[] | undefined
  readonly owner: string
  readonly #watch: ConnectionWatch
  readonly #backlog: SendBacklog
  /** What has come of a message that is not there as a whole yet, at what it costs. */
  #received = 0
  #controls = 0
  #controlsSince = -Infinity
  #receiver: FrameReceiver | undefined
  #draining = false
  #corked = false
  #ended = false

  /** @param address of whom it is, as far as is known before it has said so */
  constructor(
    conn: number,
    socket: WebSocket,
    tcp: Duplex,
    maxBufferedBytes: number,
    owner: SocketOwner,
    watch: ConnectionWatch,
    address: string,
  ) {
    this.conn = conn
    this.owner = ownerOf(undefined, address)
    this.#watch = watch
    this.#backlog = new SendBacklog(socket, watch.now)
    this.#socket = socket
    this.#tcp = tcp
    this.#maxBufferedBytes = maxBufferedBytes
    this.#owner = owner
    ;(socket as Carrier)[CARRIED] = this
    tcp.prependListener('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('message', onMessage)
    socket.on('ping', onPing)
    socket.on('pong', onPong)
    socket.on('close', onClose)
    socket.on('error', onError)
    watch.read(socket, tcp, this.owner)
  }

  /** What its reader has not taken, at what it costs. */
  get bufferedBytes(): number {
    return this.#backlog.cost
  }

  /** What its other end makes us hold. */
  measure(): number {
    return this.#backlog.cost + this.#received
  }

  /** Too much is held in all, and most of it for this one and its like. */
  giveUp(): void {
    this.end(CLOSE.silent, '')
    queueMicrotask(() => this.#owner.closed(this, CLOSE.silent))
  }

  /** Puts a frame on the wire. One that has ended swallows it. */
  send(frame: Frame): void {
    if (this.#ended || this.#socket.readyState !== this.#socket.OPEN) return
    this.#gather()
    const backlog = this.#backlog
    const answer = answerOf(frame)
    if (answer !== undefined) {
      backlog.writeLatest(answer, (written) => this.#put(frame, written))
      return
    }
    backlog.flush()
    const written = backlog.writing()
    this.#put(frame, written)
    // With nothing behind, there is nothing to count.
    if (written) this.#account()
  }

  #put(frame: Frame, written: Written | undefined): void {
    // Compressed, a frame has to pass through `ws`, which may still be busy with the one before.
    const whole = typeof frame === 'string' && frame.length <= LONGEST_TEXT && this.#socket.extensions === ''
    if (whole) this.#tcp.write(textFrame(frame), written)
    else this.#socket.send(frame, written)
  }

  /** A reader that lets too much pile up, or takes nothing for too long, is given up. */
  #account(): void {
    const { cost, stuckMs } = this.#backlog
    if (cost > this.#maxBufferedBytes || stuckMs > STUCK_MS) {
      this.end(TOO_SLOW, 'too slow')
      queueMicrotask(() => this.#owner.closed(this, CLOSE.silent))
    } else this.#watch.budget.hold(this, this.measure())
  }

  #onData(chunk: Buffer): void {
    this.#received += chunk.length + ITEM_COST
    // A small message is there as a whole, as a rule, before it would be worth a note.
    if (this.#received > NOTEWORTHY_BYTES) this.#watch.budget.hold(this, this.measure())
  }

  /** A message, or a control frame, is there as a whole. */
  #whole(): void {
    if (this.#received > NOTEWORTHY_BYTES) this.#watch.budget.hold(this, this.#backlog.cost)
    this.#received = 0
  }

  /** Whether it may go on after one more control frame: they cost us more than who sends them. */
  #mayControl(): boolean {
    const { controlsPerSecond, now } = this.#watch
    const at = now()
    if (at - this.#controlsSince > CONTROL_WINDOW_MS) {
      this.#controlsSince = at
      this.#controls = 0
    }
    this.#controls += 1
    if (this.#controls <= (controlsPerSecond * CONTROL_WINDOW_MS) / 1000) return true
    this.#watch.tell('it sends too many pings and the like', 'controlsPerSecond', this.owner)
    // Without a closing handshake: it may have a lot more to say.
    this.giveUp()
    return false
  }

  /** From now on its frames are for this one. */
  carry(receiver: FrameReceiver): void {
    this.#receiver = receiver
  }

  /** The server may have become busy with it, or free again. */
  update(): void {
    if (this.#ended || this.#draining) return
    if (this.#held === undefined) {
      if (!this.#owner.isBusy(this)) return
      this.#held = []
      this.#socket.pause()
      return
    }
    this.#draining = true
    const held = this.#held
    let next = 0
    while (next < held.length && !this.#ended && !this.#owner.isBusy(this)) {
      this.#take(held[next] as Frame)
      next += 1
    }
    this.#draining = false
    if (this.#ended) return
    held.splice(0, next)
    if (held.length > 0 || this.#owner.isBusy(this)) return
    this.#held = undefined
    this.#socket.resume()
  }

  /** Ends it with this code; 1006 without a word. What still comes in is for nobody. */
  end(code: number, reason: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#held = undefined
    if (code === 1006) {
      this.#socket.terminate()
      return
    }
    // Paused, it would not hear the answer.
    this.#socket.resume()
    this.#socket.close(code, cut(reason))
  }

  /** It has ended, or is about to. */
  gone(code: number): void {
    this.#ended = true
    this.#watch.budget.hold(this, 0)
    this.#held = undefined
    this.#owner.closed(this, code)
  }

  /** A message of `ws` came in. */
  received(data: RawData, isBinary: boolean): void {
    if (this.#ended) return
    this.#whole()
    const bytes = data as Buffer<ArrayBuffer>
    const frame = isBinary ? bytes : bytes.toString()
    if (typeof frame === 'string' && isControl(frame) && !this.#mayControl()) return
    if (this.#held) this.#held.push(frame)
    else this.#take(frame)
  }

  #take(frame: Frame): void {
    if (this.#receiver) this.#receiver.frame(this.conn, frame)
    else this.#owner.frame(this, frame)
  }

  /** Answered by hand: `ws` would pile up pongs without bound for a client that pings and does not read. */
  pinged(data: Buffer): void {
    if (this.#ended) return
    this.#whole()
    if (!this.#mayControl()) return
    // A copy: what came is a slice of a larger piece.
    const copy = Buffer.from(data)
    this.#backlog.writeLatest('ws pong', (written) => this.#socket.pong(copy, false, written))
  }

  ponged(): void {
    if (this.#ended) return
    this.#whole()
    this.#mayControl()
  }

  /** A burst of small frames costs one system call instead of one each. */
  #gather(): void {
    if (this.#corked) return
    this.#corked = true
    this.#tcp.cork()
    if (gathering.push(this) === 1) queueMicrotask(endTurn)
  }

  /** Writes what was gathered. */
  release(): void {
    this.#corked = false
    this.#tcp.uncork()
  }
}

/** Control messages but acknowledgements, of which a quick reader sends many. */
function isControl(frame: string): boolean {
  return frame.startsWith('{') && !frame.startsWith(ACK)
}

/** The kind of an answer of which only the latest counts. The session itself sees to its pongs. */
function answerOf(frame: Frame): string | undefined {
  return typeof frame === 'string' && frame.startsWith(ACK) ? ACK : undefined
}

/** Sockets that gather what is sent in this turn. */
let gathering: SessionSocket[] = []

/** Not before the microtasks that are queued now: acknowledgements go out in one of them, and shall go along. */
const endTurn = () => process.nextTick(releaseAll)

function releaseAll(): void {
  const sockets = gathering
  gathering = []
  for (const socket of sockets) socket.release()
}

function cut(reason: string): string {
  let text = reason
  while (Buffer.byteLength(text) > MAX_REASON_BYTES) text = text.slice(0, -1)
  return text
}
