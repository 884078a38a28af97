//! Keys that mean one thing in the grid and another elsewhere, and windows beside the one with the pictures.

mod desktop;

use desktop::colours::{BLUE, GREEN, RED, TILE, colours, see_grid, see_large, view};
use desktop::{Desktop, Reader, write_plain};

/// K3: whole grid by keyboard: Esc selects nothing, and a picture's menu has its key. A filter that is being
/// typed is edited by its own keys: none of them trashes a picture.
#[test]
fn keys_are_for_what_has_the_keyboard() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("two");
    write_plain(&folder.join("ab.png"), 300, 200, RED);
    write_plain(&folder.join("bb.png"), 300, 200, BLUE);
    let reader = Reader::start(&desktop);
    let hand = view(&desktop, &folder);
    let is_selected = |name: &'static str| {
        move |told: &desktop::Told| told.name == name && told.states.contains("selected")
    };
    reader.hear_text("bb.png");
    hand.press(&["Home", "ctrl+a"]);
    reader.hear("a selected one", is_selected("bb.png"));
    hand.press(&["Escape"]);
    reader.hear("one that is not selected", |told| {
        told.name == "bb.png" && told.role == "table cell" && !told.states.contains("selected")
    });
    // The menu is about the one that has the keyboard.
    hand.press(&["End", "shift+F10"]);
    reader.hear("its menu", |told| told.name.contains("Show in File Manager"));
    hand.press(&["Escape"]);
    reader.hear("what it is about", is_selected("bb.png"));
    hand.press(&["ctrl+f", "b", "b", "ctrl+a", "Home", "Delete"]);
    // With one letter less the other is there again.
    reader.hear_text("ab.png");
    assert!(folder.join("ab.png").exists() && folder.join("bb.png").exists());
    hand.close();
}

/// K3: the Workers page can be looked at while pictures are; it is there once, and closes by its key or with the
/// window that it belongs to.
#[test]
fn pictures_can_be_looked_at_beside_the_workers() {
    let desktop = Desktop::start();
    let folder = desktop.pictures("one");
    write_plain(&folder.join("a.png"), 300, 200, RED);
    let reader = Reader::start(&desktop);
    let hand = view(&desktop, &folder);
    reader.hear_text("a.png");
    hand.press(&["ctrl+shift+w"]);
    reader.hear_text("Template");
    hand.focus();
    hand.press(&["Home", "Return"]);
    reader.hear("the picture", |told| told.role == "image" && told.name == "a.png");
    hand.press(&["ctrl+shift+w"]);
    let is_title = |told: &desktop::Told| told.role == "label" && told.name == "Template";
    reader.hear("the page", is_title);
    assert_eq!(reader.all().iter().filter(|told| is_title(told)).count(), 1);
    hand.focus();
    hand.close();
}

/// K3: whole grid by keyboard, Home / End, next / previous: those of a keypad are as good.
#[test]
fn keypads_have_the_same_keys() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    let hand = view(&desktop, &folder);
    see_grid(&hand);
    hand.press(&["KP_Home", "KP_Enter"]);
    see_large(&hand, RED);
    for (key, color) in [
        ("KP_End", BLUE),
        ("KP_Home", RED),
        ("KP_Right", GREEN),
        ("KP_Next", BLUE),
        ("KP_Prior", GREEN),
        ("KP_Left", RED),
        ("KP_Down", GREEN),
        ("KP_Up", RED),
    ] {
        hand.press(&[key]);
        see_large(&hand, color);
    }
    hand.press(&["KP_Enter"]);
    see_grid(&hand);
    hand.press(&["KP_Delete"]);
    hand.see("no red tile", |screen| !screen.has(RED, 100));
    assert!(!folder.join("a.png").exists());
    hand.press(&["ctrl+z"]);
    see_grid(&hand);
    hand.close();
}

/// K3: keys lead through the menu, over the slider in it.
#[test]
fn keys_lead_through_the_menu() {
    let desktop = Desktop::start();
    let folder = colours(&desktop);
    let reader = Reader::start(&desktop);
    let hand = view(&desktop, &folder);
    see_grid(&hand);
    let whole = hand.see("a tile", |screen| screen.has(RED, TILE));
    let hear = |key: &str, name: &str, role: &str| {
        hand.press(&[key]);
        reader.hear(name, |told| {
            told.role == role && told.name == name && told.states.contains("focused")
        });
    };
    hear("F10", "Size of Thumbnails", "slider");
    hear("Down", "Name", "radio menu item");
    hear("Down", "Last Changed", "radio menu item");
    hear("Up", "Name", "radio menu item");
    hear("Up", "Size of Thumbnails", "slider");
    hear("KP_Down", "Name", "radio menu item");
    hand.press(&["Escape"]);
    // All are as large as they were.
    hand.see("the same", |screen| screen.pixels_of(RED) == whole.pixels_of(RED));
    hand.press(&["F10", "Left", "Escape"]);
    hand.see("smaller ones", |screen| screen.pixels_of(RED) < whole.pixels_of(RED));
    hand.close();
}
