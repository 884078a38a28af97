//! What assistive tools call a widget.
//!
//! # Safety
//!
//! gtk4-rs binds `GtkAccessible` from GTK 4.10 on only, as the interface got its public form there;
//! the functions are in 4.8 as they are later. This file goes when 4.10 is the oldest GTK.

#![expect(unsafe_code, reason = "gtk4-rs binds GtkAccessible from GTK 4.10 on only")]

use std::ffi::c_int;

use gtk4::ffi::{GtkAccessibleProperty, GtkWidget};
use gtk4::glib::gobject_ffi::GValue;
use gtk4::glib::translate::{IntoGlib, ToGlibPtr};
use gtk4::prelude::*;

unsafe extern "C" {
    /// `accessible` is a `GtkAccessible *`; both arrays have `count` elements.
    fn gtk_accessible_update_property_value(
        accessible: *mut GtkWidget,
        count: c_int,
        properties: *mut GtkAccessibleProperty,
        values: *const GValue,
    );
}

/// Names a widget for those who do not see it.
pub fn set_label(widget: &impl IsA<gtk4::Widget>, label: &str) {
    let widget: &gtk4::Widget = widget.upcast_ref();
    let value = label.to_value();
    let mut property = gtk4::AccessibleProperty::Label.into_glib();
    let accessible: *mut GtkWidget = widget.to_glib_none().0;
    let values = value.to_glib_none();
    // SAFETY: a GtkWidget implements GtkAccessible. The arrays have one element each, as is said, and
    // are read during the call only.
    unsafe { gtk_accessible_update_property_value(accessible, 1, &mut property, values.0) };
}
