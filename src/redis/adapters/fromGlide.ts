// Valkey GLIDE as an engine: `GlideClient` and `GlideClusterClient`.

import { CommsError } from '../../core/errors.ts'
import { callable, checkOption, objectWith } from '../../core/options.ts'
import { systemClock } from '../../core/systemClock.ts'
import type { RedisEngine } from '../RedisEngine.ts'
import { toArgument, toReply } from './replies.ts'
import { type Listening, type OpenListening, Subscriptions } from './Subscriptions.ts'

/** What is used of a client of GLIDE 2, so that the package need not be there. */
export interface GlideClientLike {
  // biome-ignore lint/suspicious/noExplicitAny: single and Cluster take different options
  customCommand(args: (string | Buffer)[], options?: any): Promise<unknown>
}

/** What is used of a client of GLIDE that listens. */
export interface GlideListener {
  subscribe(channels: Iterable<string>, timeoutMs: number): Promise<void>
  unsubscribe(channels: Iterable<string>, timeoutMs: number): Promise<void>
  // biome-ignore lint/suspicious/noExplicitAny: the decoder is an enumeration of GLIDE's
  tryGetPubSubMessage(decoder?: any): { message: unknown; channel: unknown } | null
  close(): void
}

export interface GlideOptions {
  /**
   * Makes one more client with the same addresses and credentials, for channels:
   * `() => GlideClient.createClient(configuration)`. GLIDE cannot copy a client, nor listen where others read messages.
   */
  listener?: () => Promise<GlideListener>
}

/** `Decoder.Bytes` of GLIDE. */
const BYTES = 0
const SUBSCRIBE_TIMEOUT_MS = 5000
/** Messages are taken this often, in milliseconds. */
const LOOK_EVERY_MS = 10
/** GLIDE reconnects in silence: this often, in milliseconds, listeners are told that they may have missed something. */
const GAP_EVERY_MS = 2000

/**
 * An engine over a client of Valkey GLIDE, single or Cluster. The client stays yours; `close()` leaves it open.
 * @throws TypeError when it is no such client
 */
export function fromGlide(client: GlideClientLike, options: GlideOptions = {}): RedisEngine {
  checkOption('fromGlide', 'client', client, objectWith('customCommand'))
  const { listener } = options
  if (listener !== undefined) checkOption('fromGlide', 'listener', listener, callable)
  const gaps = new Set<() => void>()
  const subscriptions = new Subscriptions(listenThrough(listener, gaps))
  return {
    async command(args, key) {
      // A cluster would send some commands to every node, unless told otherwise.
      const route = key === undefined ? 'randomNode' : undefined
      try {
        return toReply(await client.customCommand(args.map(toArgument), { decoder: BYTES, route }))
      } catch (error) {
        throw inTheEnginesWords(error)
      }
    },
    async subscribe(channel, onMessage, onGap) {
      if (!listener) {
        throw new CommsError(
          'fromGlide: channels need a client of their own: give option "listener", () => GlideClient.createClient(configuration)',
          { code: 'UNSUPPORTED' },
        )
      }
      gaps.add(onGap)
      const leave = await subscriptions.subscribe(channel, onMessage, onGap).catch((error) => {
        gaps.delete(onGap)
        throw error
      })
      return () => {
        gaps.delete(onGap)
        return leave()
      }
    },
    async close() {
      gaps.clear()
      subscriptions.close()
    },
  }
}

function listenThrough(make: GlideOptions['listener'], gaps: ReadonlySet<() => void>): OpenListening {
  return (onMessage): Listening => {
    let listener: GlideListener | undefined
    let closed = false
    let looks = 0
    const look = () => {
      if (closed) return
      for (;;) {
        const message = listener?.tryGetPubSubMessage(BYTES)
        if (!message) break
        onMessage(textOf(message.channel), bytesOf(message.message))
      }
      looks += 1
      if (looks % (GAP_EVERY_MS / LOOK_EVERY_MS) === 0) for (const onGap of [...gaps]) onGap()
      systemClock.setTimeout(look, LOOK_EVERY_MS, true)
    }
    const open = async () => {
      listener = await make?.()
      if (closed) listener?.close()
      else look()
    }
    return {
      ready: open(),
      subscribe: async (channel) => listener?.subscribe([channel], SUBSCRIBE_TIMEOUT_MS),
      unsubscribe: async (channel) => listener?.unsubscribe([channel], SUBSCRIBE_TIMEOUT_MS),
      close() {
        closed = true
        listener?.close()
      },
    }
  }
}

/** GLIDE has names of its own for what the engine says. */
const KINDS: Readonly<Record<string, string>> = {
  NoScriptError: 'NOSCRIPT',
  PermissionDenied: 'NOPERM',
  ReadOnly: 'READONLY',
  ResponseError: 'ERR',
  BusyLoadingError: 'LOADING',
  CrossSlot: 'CROSSSLOT',
  MasterDown: 'MASTERDOWN',
  ClusterDown: 'CLUSTERDOWN',
  TryAgain: 'TRYAGAIN',
  NotBusy: 'NOTBUSY',
  Moved: 'MOVED',
  Ask: 'ASK',
}

/** `An error was signalled by the server: - NoScriptError: ...` and `OOM: ...` as `NOSCRIPT ...` and `OOM ...`. */
function inTheEnginesWords(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const [, kind = '', text] =
    /^(?:An error was signalled by the server: - )?(\w+): (.*)$/s.exec(error.message) ?? []
  const word = KINDS[kind] ?? (/^[A-Z]+$/.test(kind) ? kind : undefined)
  return word === undefined ? error : new Error(`${word} ${text}`, { cause: error })
}

function bytesOf(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : Buffer.from(String(value))
}

function textOf(value: unknown): string {
  return Buffer.from(bytesOf(value)).toString()
}
