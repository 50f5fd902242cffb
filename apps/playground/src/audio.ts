// Live audio as the line takes it, from the microphone or, where there is none, from a generated tone.

import { CHUNK_SAMPLES, Downsampler, SAMPLE_RATE } from './model/Downsampler.ts'

/** Audio that runs until it is stopped. */
export interface AudioSource {
  readonly kind: 'microphone' | 'tone'
  stop(): void
}

/** @param onChunk takes 20 ms of sound */
export async function startAudio(onChunk: (chunk: Int16Array) => void): Promise<AudioSource> {
  // Not there at all on an insecure origin; refused by a person or for want of a microphone.
  const stream = await navigator.mediaDevices
    ?.getUserMedia({ audio: { channelCount: 1, echoCancellation: true } })
    .catch(() => undefined)
  return stream ? fromMicrophone(stream, onChunk) : tone(onChunk)
}

async function fromMicrophone(
  stream: MediaStream,
  onChunk: (chunk: Int16Array) => void,
): Promise<AudioSource> {
  // At the rate of the machine: not every browser resamples a microphone by itself.
  const context = new AudioContext()
  const downsampler = new Downsampler(context.sampleRate)
  await context.audioWorklet.addModule(new URL('./pcmWorklet.js', import.meta.url))
  const node = new AudioWorkletNode(context, 'pcm', { numberOfOutputs: 0 })
  node.port.onmessage = ({ data }: MessageEvent<Float32Array>) => downsampler.push(data).forEach(onChunk)
  context.createMediaStreamSource(stream).connect(node)
  return {
    kind: 'microphone',
    stop() {
      node.port.onmessage = null
      for (const track of stream.getTracks()) track.stop()
      void context.close()
    },
  }
}

/** A soft 440 Hz that swells once a second. */
function tone(onChunk: (chunk: Int16Array) => void): AudioSource {
  let at = 0
  const sample = (index: number) => {
    const seconds = index / SAMPLE_RATE
    return Math.sin(2 * Math.PI * 440 * seconds) * (0.02 + 0.4 * Math.sin(Math.PI * seconds) ** 2)
  }
  const timer = setInterval(
    () => {
      onChunk(Int16Array.from({ length: CHUNK_SAMPLES }, (_, index) => sample(at + index) * 0x7fff))
      at += CHUNK_SAMPLES
    },
    (CHUNK_SAMPLES / SAMPLE_RATE) * 1000,
  )
  return { kind: 'tone', stop: () => clearInterval(timer) }
}
