// The second part, which the first one loads, or which follows it in the same file.
import { watch } from "./watch";

watch(window.grove);
