/** Latencies of one run, in ms. Grows by doubling, so that a push costs nothing while a run is measured. */
export class Samples {
  #values = new Float64Array(4096);
  #size = 0;

  push(value: number): void {
    if (this.#size === this.#values.length) {
      const larger = new Float64Array(this.#size * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#size++] = value;
  }

  get size(): number {
    return this.#size;
  }

  latency(): Latency {
    const sorted = this.#values.slice(0, this.#size).sort();
    const at = (part: number): number => round(percentile(sorted, part));
    const sum = sorted.reduce((total, value) => total + value, 0);
    return {
      mean: round(this.#size === 0 ? 0 : sum / this.#size),
      p50: at(0.5),
      p90: at(0.9),
      p99: at(0.99),
      p999: at(0.999),
      max: at(1),
    };
  }
}

/** Milliseconds. */
export interface Latency {
  mean: number;
  p50: number;
  p90: number;
  p99: number;
  p999: number;
  max: number;
}

/** Nearest rank of sorted values; 0 where there are none. */
export function percentile(sorted: ArrayLike<number>, part: number): number {
  if (sorted.length === 0) return 0;
  const rank = Math.max(1, Math.ceil(part * sorted.length));
  return sorted[rank - 1]!;
}

/** Of repetitions. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median =
    sorted.length === 0
      ? 0
      : sorted.length % 2 === 1
        ? sorted[middle]!
        : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median: round(median), min: round(sorted[0] ?? 0), max: round(sorted.at(-1) ?? 0) };
}

/** To the microsecond of a ms, or four digits of what is large. */
export const round = (value: number): number =>
  Math.abs(value) >= 1000 ? Math.round(value) : Math.round(value * 1000) / 1000;
