// The second part, which the first one loads, or which follows it in the same file.
import type { Started } from "./events";
import { watch } from "./watch";

watch(window.grove as Started);
