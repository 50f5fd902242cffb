// A call of which more is asked than its parsed body: the answer as it comes, a share in a race for it, a look at the limits that
// the server tells of.

import { ApiError, type CommsError } from '../core/errors.ts'
import { lazily } from '../core/lazily.ts'
import type { BodyForm, HttpResponse } from '../transport/HttpTransport.ts'
import type { Call } from './call.ts'
import { learnFrom } from './learning.ts'

const guarding = lazily(() => import('./guardedStream.ts'))

let Elaborate: typeof Call | undefined

/** The same kind of call, with all that. */
export function elaborate(Plain: typeof Call): typeof Call {
  Elaborate ??= class extends Plain {
    protected override begin(): void {
      if (this.options.hedge !== 'extra') {
        super.begin()
        return
      }
      this.core.counters.hedges += 1
      this.tell('debug', 'hedge', {})
    }

    /** A race that is lost, or left by its caller, is counted where it is run: as if this had never been. */
    protected override aborted(error: CommsError): void {
      if (!this.options.hedge) {
        super.aborted(error)
        return
      }
      this.stop(error)
      this.finish()
      this.reject(error)
    }

    protected override streams(success: boolean): BodyForm {
      const { raw, responseType } = this.options
      if (raw) return 'ready'
      return responseType === 'stream' && success
    }

    override onResponse(response: HttpResponse): void {
      const { learnRateLimits } = this.core.settings
      if (learnRateLimits)
        learnFrom(this.core, learnRateLimits, this.prepared.endpoint, this.options.rateCategory, response)
      super.onResponse(response)
    }

    protected override read(body: HttpResponse['body']): unknown {
      return body instanceof Uint8Array && !this.options.raw ? super.read(body) : body
    }

    protected override deliver(): void {
      const { data } = this
      if (!(data instanceof ReadableStream)) {
        super.deliver()
        return
      }
      const { core, deadlineAt, url, attempts } = this
      const { idleTimeout, signal, callerSignal = signal } = this.options
      this.whenDone(guarding(), ({ guardStream }) => {
        this.data = guardStream(data, core, {
          translate: this.options.bodyError,
          idleTimeoutMs: idleTimeout ?? core.settings.idleTimeout,
          deadlineAt,
          signal: callerSignal,
          url,
          attempts,
        })
        super.deliver()
      })
    }

    protected override fail(error: unknown): void {
      // Who asked for the answer as it is gets it, whatever its status.
      if (this.options.raw && error instanceof ApiError && this.status === error.status) this.deliver()
      else super.fail(error)
    }

    protected override discard(body: unknown): void {
      if (body instanceof ReadableStream) body.cancel().catch(() => {})
    }
  }
  return Elaborate
}
