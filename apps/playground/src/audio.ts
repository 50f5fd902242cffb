// Live audio as the line takes it: 16 kHz, 16 bit, mono, in chunks of 20 ms. From the microphone, or from a generated tone.

const RATE = 16_000
const CHUNK = 320

/** Audio that runs until it is stopped. */
export interface AudioSource {
  readonly kind: 'microphone' | 'tone'
  stop(): void
}

/** @param onChunk takes the samples and their loudness, 0 to 1 */
export async function startAudio(
  onChunk: (samples: Int16Array, level: number) => void,
): Promise<AudioSource> {
  const stream = await navigator.mediaDevices
    ?.getUserMedia({ audio: { channelCount: 1 } })
    .catch(() => undefined)
  return stream ? fromMicrophone(stream, onChunk) : tone(onChunk)
}

async function fromMicrophone(
  stream: MediaStream,
  onChunk: (samples: Int16Array, level: number) => void,
): Promise<AudioSource> {
  const context = new AudioContext({ sampleRate: RATE })
  await context.audioWorklet.addModule(new URL('./pcmWorklet.js', import.meta.url))
  const node = new AudioWorkletNode(context, 'pcm', { processorOptions: { chunk: CHUNK } })
  node.port.onmessage = ({ data }: MessageEvent<Float32Array>) => {
    const samples = Int16Array.from(data, (sample) => Math.max(-1, Math.min(1, sample)) * 0x7fff)
    onChunk(samples, Math.min(1, Math.max(...data.map(Math.abs)) * 1.5))
  }
  context.createMediaStreamSource(stream).connect(node)
  return {
    kind: 'microphone',
    stop() {
      for (const track of stream.getTracks()) track.stop()
      void context.close()
    },
  }
}

/** A soft 440 Hz that swells once a second: for machines without a microphone. */
function tone(onChunk: (samples: Int16Array, level: number) => void): AudioSource {
  let at = 0
  const timer = setInterval(
    () => {
      const swell = 0.15 + 0.35 * Math.abs(Math.sin((Math.PI * at) / RATE))
      const samples = Int16Array.from(
        { length: CHUNK },
        (_, index) => Math.sin((2 * Math.PI * 440 * (at + index)) / RATE) * swell * 0x7fff,
      )
      at += CHUNK
      onChunk(samples, swell)
    },
    (CHUNK / RATE) * 1000,
  )
  return { kind: 'tone', stop: () => clearInterval(timer) }
}
