// The page's own shapes, as paths in a box of 24 by 24, drawn as strokes.

export const SHAPES = {
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  down: "M5 9l7 7 7-7",
  send: "M4 12L20 4l-4 16-4-7z M12 13l8-9",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13z M15.5 15.5L20 20",
  chats: "M4 5h16v11H9l-5 4z",
  lessons: "M4 6h16v14H4z M4 10.5h16 M8.5 3.5v4 M15.5 3.5v4",
  leave: "M10 4H5v16h5 M14 8l4 4-4 4 M18 12H9",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16z M12 8v4l3 2",
  sent: "M5 12.5l4.5 4.5L19 7.5",
  delivered: "M2.5 12.5L7 17l9.5-9.5 M11 16l1 1 9.5-9.5",
  read: "M2.5 12.5L7 17l9.5-9.5 M11 16l1 1 9.5-9.5",
  unknown: "M9 9a3 3 0 1 1 4.2 2.7c-.8.4-1.2 1-1.2 2 M12 17.5v.5",
  failed: "M12 4l9 16H3z M12 10v4.5 M12 17v.5",
  hand: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8z M4.5 20c.8-3.6 3.6-5.5 7.5-5.500s6.7 1.9 7.5 5.5",
  pause: "M8.5 5.500v13 M15.5 5.500v13",
  retry: "M19 12a7 7 0 1 1-2.2-5.100L19 9 M19 4.500V9h-4.5",
  copy: "M8.5 8.500h11v11h-11z M15.5 8.500v-4h-11v11h4",
  mountain: "M2.5 19.500L9 7l4 7 2.5-4 6 9.500z M6.8 11.200L9 13l2.1-2.2",
};
