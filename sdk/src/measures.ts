// How shifts and interactions become one figure each. Pure.
// Source: the definitions of CLS (session windows) and INP at web.dev.

/** The worst of all windows: shifts less than a second apart, five seconds in all. */
export class Shifts {
  worst = 0;
  private sum = 0;
  private begin = -Infinity;
  private end = -Infinity;

  add(at: number, value: number): void {
    if (at > this.end + 1000 || at > this.begin + 5000) {
      this.begin = at;
      this.sum = 0;
    }
    this.end = at;
    this.sum += value;
    this.worst = Math.max(this.worst, this.sum);
  }
}

/** The longest of all interactions, passing over one in fifty. An interaction is several events. */
export class Interactions {
  private longest = new Map<number, number>();

  add(id: number, duration: number): void {
    if (id) this.longest.set(id, Math.max(this.longest.get(id) || 0, duration));
  }

  slow(): number | undefined {
    const durations = [...this.longest.values()].sort((a, b) => b - a);
    return durations[Math.floor(durations.length / 50)];
  }
}
