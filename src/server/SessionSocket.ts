// One WebSocket that speaks guru.v1: frames in, in order, and held back while the server is busy with it; frames out,
// those of one turn together, and not without bound. What they mean is not its affair.

import type { Duplex } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import { CLOSE } from '../session/closeCodes.ts'
import type { Frame } from '../session/frames.ts'
import { LONGEST_TEXT, textFrame } from './textFrame.ts'

/** Nobody can read so slowly by accident. */
const TOO_SLOW = 1013
/** RFC 6455 section 5.5: what a close frame has room for beside its code. */
const MAX_REASON_BYTES = 123

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

function onClose(this: WebSocket, code: number): void {
  ;(this as Carrier)[CARRIED]?.gone(code)
}

/** A frame that breaks RFC 6455 or the size limit: `ws` closes with the right code by itself, in its own time. */
function onError(this: WebSocket): void {
  ;(this as Carrier)[CARRIED]?.gone(CLOSE.silent)
}

export class SessionSocket {
  /** Its number in the table. */
  readonly conn: number
  readonly #socket: WebSocket
  readonly #tcp: Duplex
  readonly #owner: SocketOwner
  readonly #maxBufferedBytes: number
  /** Frames that came in while it was busy, and after them. */
  #held: Frame[] | undefined
  #receiver: FrameReceiver | undefined
  #draining = false
  #corked = false
  #ended = false

  constructor(conn: number, socket: WebSocket, tcp: Duplex, maxBufferedBytes: number, owner: SocketOwner) {
    this.conn = conn
    this.#socket = socket
    this.#tcp = tcp
    this.#maxBufferedBytes = maxBufferedBytes
    this.#owner = owner
    ;(socket as Carrier)[CARRIED] = this
    socket.on('message', onMessage)
    socket.on('ping', onPing)
    socket.on('close', onClose)
    socket.on('error', onError)
  }

  /** Bytes that its reader has not taken. */
  get bufferedBytes(): number {
    return this.#socket.bufferedAmount
  }

  /** Puts a frame on the wire. One that has ended swallows it. */
  send(frame: Frame): void {
    if (this.#ended || this.#socket.readyState !== this.#socket.OPEN) return
    this.#gather()
    // Compressed, a frame has to pass through `ws`, which may still be busy with the one before.
    const whole = typeof frame === 'string' && frame.length <= LONGEST_TEXT && this.#socket.extensions === ''
    if (whole) this.#tcp.write(textFrame(frame))
    else this.#socket.send(frame)
    if (this.#socket.bufferedAmount > this.#maxBufferedBytes) {
      // Windows bound what messages take: only pings without end can come here.
      this.end(TOO_SLOW, 'too slow')
      queueMicrotask(() => this.#owner.closed(this, CLOSE.silent))
    }
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
    this.#held = undefined
    this.#owner.closed(this, code)
  }

  /** A message of `ws` came in. */
  received(data: RawData, isBinary: boolean): void {
    if (this.#ended) return
    const bytes = data as Buffer<ArrayBuffer>
    const frame = isBinary ? bytes : bytes.toString()
    if (this.#held) this.#held.push(frame)
    else this.#take(frame)
  }

  #take(frame: Frame): void {
    if (this.#receiver) this.#receiver.frame(this.conn, frame)
    else this.#owner.frame(this, frame)
  }

  /** Answered by hand: `ws` would pile up pongs without bound for a client that pings and does not read. */
  pinged(data: Buffer): void {
    if (!this.#ended && this.#socket.bufferedAmount < this.#maxBufferedBytes) this.#socket.pong(data)
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
